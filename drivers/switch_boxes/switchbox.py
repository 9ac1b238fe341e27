"""Boxes of relays that put one memristor at a time at the terminals of an instrument.

Whoever drives a source through one sees to it that the source is at 0 V or off while relays move. In a bench
file, one entry a site, in order; an entry may be several channels that close together::

    [board.switch]
    class = "drivers.keysight_34970a:Keysight34970A"
    address = "tcp://10.0.0.7:5025"
    channels = [101, 102, 103]

What the boxes of this house see to beside is in `drivers.switch_boxes.checked`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Protocol, TypeAlias, cast

from pydantic import Field, field_validator

from labctl.config import PositiveSeconds, Section
from labctl.errors import Refused
from labctl.importing import named
from labctl.quantity import printable

Channel: TypeAlias = int | str
"""As the instrument's manual writes it: 101, "1A01"."""
SiteChannels = Annotated[tuple[Channel, ...], Field(min_length=1)]

_FORM = '"module:Class" of a switch box, such as "drivers.keysight_34970a:Keysight34970A"'


class SwitchSettings(Section):
    """The `[board.switch]` table of a bench file."""

    box: str = Field(alias="class")
    address: str
    channels: Annotated[tuple[Channel | SiteChannels, ...], Field(min_length=1)]
    """One a site, in order."""
    serial: str | None = None
    """That the box must have; None: any."""
    settle: PositiveSeconds | None = None
    """Longer than its data sheet says: for a fixture that is slower than the relays."""
    deadline: PositiveSeconds = 2.0
    """For the answer to one question."""
    record: str | None = None
    """New file that gets all that is sent and received."""

    @field_validator("channels")
    @classmethod
    def _distinct(cls, found: tuple[Channel | tuple[Channel, ...], ...]) -> object:
        """Two sites at the same channels would be one."""
        sites = Counter(frozenset(_several(entry)) for entry in found)
        if twice := [site for site, count in sites.items() if count > 1]:
            raise ValueError(f"{listed(twice[0])} stands for two sites; allowed: other channels for each")
        return found

    @property
    def sites(self) -> tuple[tuple[Channel, ...], ...]:
        """The channels of each site, in order."""
        return tuple(_several(entry) for entry in self.channels)


class SwitchBox(Protocol):
    """One box of relays, for one thread at a time.

    Every method but `close_link` raises `BoardFault`, `BoardGone`, `BoardHung` or `Refused`.
    """

    settle_seconds: float
    """[s] that its relays take; `select` and `open_all` wait for them."""

    def open(self) -> None:
        """Take the box, see that it is the one that was meant, and open every relay."""
        ...

    def close_link(self) -> None:
        """Give the box back; relays stay as they are. Harmless twice, raises nothing."""
        ...

    def open_all(self) -> None:
        """Open every relay, and see that they are open."""
        ...

    def select(self, channels: Sequence[Channel]) -> None:
        """Close these channels and no other, break before make; does nothing if that is so already."""
        ...

    def closed(self) -> set[Channel]:
        """Every channel that is closed now, by asking; none that the bench does not use is left out."""
        ...

    def cycles(self) -> dict[Channel, int]:
        """How often each channel of the bench has closed in its life; empty where the box does not count."""
        ...


def switch_box(settings: SwitchSettings, source: str = "[board.switch]") -> SwitchBox:
    """The box that these settings name, not open yet. Raises `Unavailable` for what is none."""
    told = f'{source}: class = "{printable(settings.box)}"'
    kind = named(settings.box, told, _FORM)
    if not callable(kind) or not hasattr(kind, "select"):
        raise Refused(f"{told} is no switch box", allowed=_FORM)
    return cast("SwitchBox", kind(settings))


def listed(channels: Iterable[Channel]) -> str:
    """Channels in front of a person.

    >>> listed({102, 101})
    'channel 101, 102'
    """
    found = sorted(map(str, channels))
    return f"channel {', '.join(found)}" if found else "no channel"


def _several(entry: Channel | tuple[Channel, ...]) -> tuple[Channel, ...]:
    return entry if isinstance(entry, tuple) else (entry,)
