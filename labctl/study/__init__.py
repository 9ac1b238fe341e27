"""Studies: the same questions asked of many chips, on as many processes or machines as there are."""
