"""What is connected to this machine, and the instruments of benches, as one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from labctl.console import Page, Table
from labctl.instruments import Connected, Described

_CONNECTED = ("connected", "address", "")
_BENCHES = ("bench", "", "driver", "address", "answer", "held by")


def instruments_page(connected: Sequence[Connected], described: Sequence[Described]) -> Page:
    """Two tables: what the system sees, and what bench files name."""
    seen = Table(_CONNECTED, [(one.what, one.address, one.told) for one in connected])
    rows = [
        (one.bench, one.reality, one.driver, ", ".join(one.addresses), one.answer, one.held or "nobody")
        for one in described
    ]
    parts: list[str | Table] = [seen, ""]
    parts.append(Table(_BENCHES, rows) if rows else "no bench file names an instrument")
    data = {"connected": [asdict(one) for one in connected], "benches": [asdict(one) for one in described]}
    return Page(data, parts)
