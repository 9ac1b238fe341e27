"""What the emulated Keithley 2600B is made of."""
