"""Memristor models: equations stated once, parameters with their sources, SPICE text made from both."""
