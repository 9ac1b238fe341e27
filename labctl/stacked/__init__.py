"""A network on boards that have none: several boards as one, whose neurons are computed from currents."""

from labctl.stacked.board import StackedBoard

__all__ = ["StackedBoard"]
