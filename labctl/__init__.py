"""A memristor bench you can pytest.

The same training controller, the same limits and the same bill of joules run on any board,
because nothing above the board can tell which it is. This package knows no instrument and no
simulator: `drivers` has the boards that are there, `sim_backend` those that are not, and both
import this one.
"""
