"""What the commands answer about characterizations: figures by step and site, and what a dry run foresees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labctl import characterize
from labctl.characterization_record import parts_of, protocol_in
from labctl.characterization_run import Forecast
from labctl.characterization_tables import table_name
from labctl.characterize.procedure import Column, Figures
from labctl.characterize.protocol import ENDED, Protocol
from labctl.console import Page, Table
from labctl.energy import KINDS
from labctl.journal import Journal
from labctl.quantity import format_quantity
from labctl.spec import Spec

_UNITS = ("V", "A", "s", "ohm", "S", "J", "F", "Hz", "W", "K")


def shown(value: float | str, unit: str) -> str:
    """A figure as a person reads it; one that is not known is a dash."""
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "–"
    if unit in _UNITS and math.isfinite(value):
        return format_quantity(value, unit)
    return f"{value:.4g}{f' {unit}' if unit not in ('', '1') else ''}"


# ---- a run ------------------------------------------------------------------------------------


def characterized(journal: Journal) -> dict[str, Any]:
    """For a program: what was found, by step and site, as far as it has come."""
    protocol = protocol_in(journal)
    steps = [
        {
            "step": part.step,
            "site": journal.spec.label(part.site),
            "rows": len(part.rows),
            "table": table_name(journal, part) if part.rows else None,
            "figures": dict(part.figures) if part.figures else None,
        }
        for part in parts_of(journal).values()
    ]
    return {"procedure": protocol.name, "title": protocol.title, "steps": steps}


def characterized_parts(journal: Journal) -> Iterator[str | Table]:
    """For a person: a table of figures for each step of each site."""
    columns = _columns(protocol_in(journal))
    for part in parts_of(journal).values():
        yield ""
        head = f"{part.step} on site {journal.spec.label(part.site)}: {len(part.rows)} rows"
        if part.figures is None:
            yield f"{head}, not finished"
        else:
            yield f"{head}, {part.figures.get(ENDED, '?')}"
            yield from _figures(columns.get(part.step, ()), part.figures)


def _columns(protocol: Protocol) -> dict[str, tuple[Column, ...]]:
    return {step.name: step.procedure.figures for step in protocol.steps}


def _figures(columns: Sequence[Column], figures: Figures) -> Iterator[Table]:
    rows = [
        (one.name, shown(figures[one.name], one.unit), one.meaning) for one in columns if one.name in figures
    ]
    if rows:
        yield Table(("figure", "value", ""), rows)


# ---- what is no run ---------------------------------------------------------------------------


def forecast_page(forecast: Forecast) -> Page:
    """What a characterization would drive and cost."""
    what, spec, total = forecast.what, forecast.spec, forecast.ledger.total()
    sites = [
        {
            "site": spec.label(site),
            "pulses": forecast.pulses.get(site, 0),
            "highest_volts": forecast.highest_volts.get(site, 0.0),
            "worst_joules": forecast.worst_joules.get(site, 0.0),
        }
        for site in what.sites
    ]
    steps = [
        {"step": step, "site": spec.label(site), "figures": dict(figures)}
        for (step, site), figures in forecast.figures.items()
    ]
    seconds: dict[str, float] = dict(zip(KINDS, total.seconds.tolist(), strict=True))
    data = {
        "procedure": what.protocol.name,
        "wears": what.protocol.wears,
        "pulses": total.pulses,
        "seconds": seconds,
        "joules": float(total.joules[0]),
        "sites": sites,
        "steps": steps,
    }
    return Page(data, list(_forecast_parts(forecast, sites, seconds)))


def _forecast_parts(
    forecast: Forecast, sites: Sequence[Mapping[str, Any]], seconds: Mapping[str, float]
) -> Iterator[str | Table]:
    total = forecast.ledger.total()
    yield f"a dry run of {forecast.what.protocol.name} on {forecast.spec.name}: nothing real was driven"
    yield f"pulses      {total.pulses}"
    parts = ", ".join(f"{kind} {format_quantity(one, 's')}" for kind, one in seconds.items())
    yield f"bench time  {format_quantity(sum(seconds.values()), 's')}: {parts}"
    yield f"energy      {format_quantity(float(total.joules[0]), 'J')} on the simulated device"
    yield ""
    rows = [
        (
            str(site["site"]),
            str(site["pulses"]),
            format_quantity(site["highest_volts"], "V"),
            format_quantity(site["worst_joules"], "J"),
        )
        for site in sites
    ]
    yield Table(("site", "pulses", "highest at the source", "at most, at its least resistance"), rows)
    yield from _alongside(forecast.spec, forecast.neighbours)
    yield from (
        f"{step} on site {forecast.spec.label(site)} would end: {figures[ENDED]}"
        for (step, site), figures in forecast.figures.items()
    )


def _alongside(spec: Spec, neighbours: Sequence[int]) -> Iterator[str]:
    """A bare crossbar has no switches: who else sees the pulses must be said."""
    if neighbours:
        yield f"no switches: sites {', '.join(map(spec.label, neighbours))} see the same voltages"


def procedures_page() -> Page:
    """What can be measured."""
    rows = [(name, title) for name, title in characterize.TITLES.items()]
    return Page({"procedures": dict(rows)}, [Table(("procedure", ""), rows)])
