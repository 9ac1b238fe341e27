"""What the emulated Keysight B2900 is made of."""
