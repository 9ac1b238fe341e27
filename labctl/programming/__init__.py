"""Bring one site to a conductance: settings, caps, and the methods that choose the next pulse."""
