"""What the kT-RAM server's board is made of."""
