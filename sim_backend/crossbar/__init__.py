"""Crossbars as circuits, solved exactly: any resistance of sources, neurons and wires, at any size."""
