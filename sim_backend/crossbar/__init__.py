"""Crossbars as circuits, solved exactly: any resistance of sources, neurons and wires, at any size.

    bar = Crossbar(siemens, source_ohms=100, sink_ohms=100, row_wire_ohms=1, column_wire_ohms=1)
    found = solve(bar, volts)               # everything about a few input vectors: outputs, nodes, watts
    found.outputs, found.error              # [A] (vectors, columns), and what share they are off by at most

    many = Factored(bar)                    # the exact matrix from inputs to outputs, for very many vectors
    many.outputs(volts)                     # one product
    many.updated([(3, 5)], [2e-5])          # with a few other devices, without starting over

    effective(bar)                          # the same matrix in closed form, where wires have no resistance
    solve_nonlinear(bar, current, volts)    # devices of any curve: volts (rows, columns) -> amps, slopes
    gradients(bar, volts, upstream)         # of a sum of outputs, by everything that the crossbar is

A device that is not there is 0 S. A row that nothing drives has a source of 1e12 ohm: infinite resistances
are refused.
"""

from sim_backend.crossbar.array import Crossbar
from sim_backend.crossbar.closed import effective
from sim_backend.crossbar.factored import Factored
from sim_backend.crossbar.gradients import Gradients, gradients
from sim_backend.crossbar.newton import NonlinearSolution, solve_nonlinear
from sim_backend.crossbar.solution import Solution
from sim_backend.crossbar.solve import solve

__all__ = [
    "Crossbar",
    "Factored",
    "Gradients",
    "NonlinearSolution",
    "Solution",
    "effective",
    "gradients",
    "solve",
    "solve_nonlinear",
]
