"""What `labctl aware deploy` answers: accuracy on the chips beside what was predicted, and the bill."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labctl.console import Page, Table
from labctl.quantity import format_quantity

if TYPE_CHECKING:
    from labctl.aware.deploy import Deployed
    from labctl.aware.deploy_bill import Cost

SHOWN = 5
"""Devices that missed their targets, told one by one."""


def deployment_page(found: Deployed, folder: Path) -> Page:
    """Everything about a deployment that is over, and is kept in this folder."""
    data: dict[str, Any] = {**asdict(found), "folder": str(folder)}
    parts: list[str | Table] = [
        f"{found.name}: {found.devices} devices on {found.arrays} arrays,"
        f" {found.pictures} test pictures through each",
        _accuracies(found),
        f"the chips say the class that was predicted of {found.agreeing} of {found.pictures} pictures",
        *_missed(found),
        "",
        *_bill(found),
        f"each array has a run of its own in {folder}",
    ]
    return Page(data, parts)


def _accuracies(found: Deployed) -> Table:
    of, drawn = found.pictures, np.array(found.drawn, dtype=np.float64)
    spread = f"{_percent(drawn.mean(), of)} ({_percent(drawn.min(), of)} to {_percent(drawn.max(), of)})"
    rows = [
        ("measured on the chips", _percent(found.measured, of)),
        ("predicted from the conductances read back", _percent(found.predicted, of)),
        ("predicted with every device at its target", _percent(found.meant, of)),
        (f"predicted of {len(drawn)} chips as the technology draws them", spread),
        ("the same weights in software, without the circuit", _percent(found.software, of)),
    ]
    return Table(("", "right"), rows)


def _missed(found: Deployed) -> Iterator[str]:
    if found.missed:
        yield f"{len(found.missed)} devices missed their targets:"
    for one in found.missed[:SHOWN]:
        wanted, got = format_quantity(one.target, "S", 4), format_quantity(one.after, "S", 4)
        yield f"  {one.piece} {one.site}: {got} instead of {wanted}: {one.why}"
    if found.beyond:
        yield f"{found.beyond} pictures led beyond a full scale, and were scaled down"


def _bill(found: Deployed) -> Iterator[str | Table]:
    bill = found.bill
    rows = [_row("programming", bill.programming), _row("inference", bill.inference)]
    yield Table(("", "pulses", "delivered", "bench time"), rows)
    joules, seconds = (
        format_quantity(bill.picture_joules, "J", 4),
        format_quantity(bill.picture_seconds, "s", 4),
    )
    yield f"a picture takes {joules} and, with all arrays of a layer at once, {seconds}"


def _row(name: str, cost: Cost) -> tuple[str, ...]:
    joules, seconds = format_quantity(cost.joules, "J", 4), format_quantity(cost.seconds, "s", 4)
    return name, str(cost.pulses), joules, seconds


def _percent(right: float, of: int) -> str:
    return f"{100 * right / of:.2f} %"
