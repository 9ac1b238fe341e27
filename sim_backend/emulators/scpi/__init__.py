"""SCPI as an instrument hears it."""
