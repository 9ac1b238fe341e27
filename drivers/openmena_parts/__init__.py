"""What the OpenMENA board is made of."""
