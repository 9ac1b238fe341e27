"""Instruments that are not there: their languages on real links, and devices behind their terminals."""
