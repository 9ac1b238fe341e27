"""Relays of an emulated switch box, and what they connect: a site of a rig is reached by one channel or more.

What the box believes of a relay is what it last told it, or what it sees of it: a relay that is `stuck` is
seen where it is; one that is `welded` conducts although it is seen as open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sim_backend.emulators.behind.terminals import Terminals


class Relays:
    """Channels by name; `sites` are those of each column behind `terminals`, in order."""

    def __init__(
        self,
        channels: Iterable[str],
        sites: Sequence[Sequence[str]] = (),
        terminals: Terminals | None = None,
    ) -> None:
        self.channels = tuple(dict.fromkeys(channels))
        self.stuck_open: set[str] = set()
        self.stuck_closed: set[str] = set()
        self.welded: set[str] = set()
        self.cycles: Counter[str] = Counter()
        """Closures of each channel in its life."""
        self._known = frozenset(self.channels)
        self._told: set[str] = set()
        self._sites = tuple(tuple(site) for site in sites)
        self._terminals = terminals
        self.move(set())

    def suffer(self, fault: str, channel: str) -> bool:
        """`left-closed`, `stuck-open`, `stuck-closed` or `welded`; False: it is none of them."""
        name = channel or self.channels[0]
        kinds = {"stuck-open": self.stuck_open, "stuck-closed": self.stuck_closed, "welded": self.welded}
        if fault in kinds:
            kinds[fault].add(name)
        elif fault != "left-closed":
            return False
        self.move(self._told | ({name} if fault == "left-closed" else set[str]()))
        return True

    def __contains__(self, channel: str) -> bool:
        return channel in self._known

    @property
    def closed(self) -> list[str]:
        """Channels that are seen to be closed, in the order of the channels."""
        seen = (self._told - self.stuck_open) | self.stuck_closed
        return [channel for channel in self.channels if channel in seen]

    def open(self, channels: Iterable[str]) -> None:
        """Tell these to open."""
        self.move(self._told - set(channels))

    def close(self, channels: Iterable[str]) -> None:
        """Tell these to close, and leave the others."""
        self.move(self._told | set(channels))

    def move(self, closed: set[str]) -> None:
        """Tell all of them what to be."""
        self.cycles.update(closed - self._told)
        self._told = set(closed)
        if self._terminals is not None and self._sites:
            conducting = {*self.closed, *self.welded}
            self._terminals.closed = {
                column for column, site in enumerate(self._sites) if conducting.issuperset(site)
            }
