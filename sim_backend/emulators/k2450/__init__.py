"""What the emulated Keithley 2450 is made of."""
