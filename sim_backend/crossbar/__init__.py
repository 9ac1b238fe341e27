"""Crossbars as circuits, solved exactly: any resistance of sources, neurons and wires, at any size."""

from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.closed import effective
from sim_backend.crossbar.solution import Solution
from sim_backend.crossbar.solve import solve

__all__ = ["Crossbar", "Solution", "effective", "solve"]
