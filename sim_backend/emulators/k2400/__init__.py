"""What the emulated Keithley 2400 is made of."""
