"""Source, neuron and wire resistance of a whole crossbar, from reads alone, whatever its devices are.

Where every crossing has its switch, a device can be read alone, and a row or a column as a whole. Alone,
what lies in series with a device cannot be told from it (see `labctl.characterize.resistance`). But the
devices of a row share its source and its wire: with all of them connected at once, each gets less than
alone, and by how much less says what they share, whatever they are and whatever follows them. So rows
give Rs and the wire of rows; columns, in the same way, Rn and the wire of columns.
`labctl.characterize.ladder` is the circuit of one line, exact, and the fit.

Rows are taken to be driven at column 0, and columns to end at row 0; what lies between an end and the
first crossing is part of Rs or Rn. A wire that comes out below 0 by more than its error says that it is
the other end. What is shared shows only as far as current flows: a crossbar in its high-resistance state
has wide intervals. These hold what noise does, and what differs from line to line; the curvature of the
devices, which see less voltage together than alone, is no part of them: read with little. Nothing is
written, and all devices of a line see the read voltage at once.

A bare crossbar has no read of a device alone, and a selector no columns that devices share: both are refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from labctl.addressing import drive, level
from labctl.characterize.bench_technology import technology
from labctl.characterize.ladder import Found, fitted
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.config import Count, PositiveSeconds, PositiveVolts
from labctl.errors import BoardFault, Refused
from labctl.plan import Plan
from labctl.programming.write_verify import TIME_CONSTANTS
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import UNUSABLE, settled_amps, settled_volts
from labctl.spec import Spec

FLOORS = 10.0
"""Times the board's noise floor: currents below that count by their distance, not by their part."""

Kind = Literal["row", "column"]


class LinesSettings(Capped):
    """How lines are read."""

    volts: PositiveVolts = 0.02
    """At the source: low enough for devices to be linear."""
    seconds: PositiveSeconds = 50e-6
    """Of each read, or as long as the board needs to settle."""
    lines: Annotated[int, Field(ge=2)] = 16
    """Most rows, and most columns, that are read, evenly over the array."""
    rounds: Count = 4
    """Of all these reads; means are taken."""


class _Line(NamedTuple):
    """One row or column, and the sites on it, that next to its end first."""

    kind: Kind
    number: int
    """Of the line of the board: what is read on it is sensed on the crossing lines."""
    sites: tuple[int, ...]


class Lines(Procedure[LinesSettings]):
    """Each line's devices one by one, then the line as a whole."""

    name = "lines"
    title = "Source, neuron and wire resistance of a crossbar"
    wears = False
    Settings = LinesSettings
    columns = (
        Column("round", "1", "from 1"),
        Column("line", "", "row or column: what was driven as a whole"),
        Column("row", "1", "of the device"),
        Column("column", "1", "of the device"),
        Column("alone", "S", "current over source volts, this device alone"),
        Column("together", "S", "the same with all devices of the line"),
    )
    figures = (
        Column("source", "ohm", "Rs, from a source to the first crossing of its row"),
        Column("source_error", "ohm", "half of its 95 % interval"),
        Column("neuron", "ohm", "Rn, from the first crossing of a column to 0 V"),
        Column("neuron_error", "ohm", "half of its 95 % interval"),
        Column("row_wire", "ohm", "of a segment of a row between two columns"),
        Column("row_wire_error", "ohm", "half of its 95 % interval"),
        Column("column_wire", "ohm", "of a segment of a column between two rows"),
        Column("column_wire_error", "ohm", "half of its 95 % interval"),
        Column("misfit", "1", "of the lines' currents, root mean square, relative"),
        Column("read_noise", "1", "of a device alone, from round to round"),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """Every read of one round; refused where lines cannot be known."""
        _refuse_unknowable(spec)
        return [pulse for line in self._lines(spec) for pulse in self._reads(spec, line)]

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """One list a line and round; `site` only says of which crossbar, and there is one."""
        done = len(rows)
        for number, line in self._visits(spec):
            if done >= len(line.sites):
                done -= len(line.sites)
                continue
            pulses = self._reads(spec, line)
            rows += _measured(spec, number, line, pulses, (yield pulses))

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """What rows and columns, each over all rounds, come to."""
        floor = FLOORS * spec.noise_floor_amps / self.settings.volts
        of_rows, of_columns = self._fit(spec, rows, "row", floor), self._fit(spec, rows, "column", floor)
        if of_rows is None or of_columns is None:
            return {one.name: math.nan for one in self.figures}
        return {
            "source": of_rows.end,
            "source_error": of_rows.end_error,
            "neuron": of_columns.end,
            "neuron_error": of_columns.end_error,
            "row_wire": of_rows.wire,
            "row_wire_error": of_rows.wire_error,
            "column_wire": of_columns.wire,
            "column_wire_error": of_columns.wire_error,
            "misfit": math.hypot(of_rows.misfit, of_columns.misfit) / math.sqrt(2),
            "read_noise": self._noise(spec, rows),
        }

    def text(self, spec: Spec, figures: Figures) -> str:
        """A `[technology]` table for networks that are to be trained for this very crossbar."""
        return technology(spec, figures)

    # ---- what is read ---------------------------------------------------------------------

    def _visits(self, spec: Spec) -> Iterator[tuple[int, _Line]]:
        return ((number, line) for number in range(1, self.settings.rounds + 1) for line in self._lines(spec))

    def _lines(self, spec: Spec) -> list[_Line]:
        across, down = range(spec.columns), range(spec.rows)
        rows = [
            _Line("row", row, tuple(spec.site_at(row, one) for one in across))
            for row in _spread(spec.rows, self.settings.lines)
        ]
        columns = [
            _Line("column", one, tuple(spec.site_at(row, one) for row in down))
            for one in _spread(spec.columns, self.settings.lines)
        ]
        return rows + columns

    def _reads(self, spec: Spec, line: _Line) -> list[Pulse]:
        """Each site alone, then all of them."""
        return [self._read(spec, [site]) for site in line.sites] + [self._read(spec, line.sites)]

    def _read(self, spec: Spec, sites: Sequence[int]) -> Pulse:
        """These sites' rows driven, their columns at 0 V, all else open."""
        how, places = self.settings, [spec.sites[site] for site in sites]
        seconds = max(how.seconds, TIME_CONSTANTS * spec.response_seconds, spec.shortest_pulse)
        volts = {place.row: how.volts for place in places} | {
            spec.rows + place.column: 0.0 for place in places
        }
        return drive(spec, volts, level(spec, 1.0, seconds), Purpose.READ)

    # ---- what it comes to -----------------------------------------------------------------

    def _fit(self, spec: Spec, rows: Sequence[Row], kind: Kind, floor: float) -> Found | None:
        """None where two whole lines are not there yet."""
        alone, whole = (self._means(spec, rows, kind, name) for name in ("alone", "together"))
        known = np.isfinite(alone).all(axis=1) & np.isfinite(whole).all(axis=1)
        return fitted(alone[known], whole[known], floor) if known.sum() >= 2 else None

    def _means(self, spec: Spec, rows: Sequence[Row], kind: Kind, name: str) -> Floats:
        """[S], shape (lines, crossings), that next to the end first; over rounds."""
        return np.array([
            [np.mean(values) if values else np.nan for values in self._values(spec, rows, line, name)]
            for line in self._lines(spec)
            if line.kind == kind
        ])  # fmt: skip

    def _values(self, spec: Spec, rows: Sequence[Row], line: _Line, name: str) -> list[list[float]]:
        """Of each site of a line, by rounds."""
        found: dict[tuple[float, float], list[float]] = {}
        for row in rows:
            if row["line"] == line.kind:
                found.setdefault((float(row["row"]), float(row["column"])), []).append(float(row[name]))
        places = (spec.sites[site] for site in line.sites)
        return [found.get((place.row, place.column), []) for place in places]

    def _noise(self, spec: Spec, rows: Sequence[Row]) -> float:
        """Standard deviation of what a device alone reads, relative, root mean square of all devices."""
        values = [
            one
            for line in self._lines(spec)
            for one in self._values(spec, rows, line, "alone")
            if len(one) > 1
        ]
        if not values:
            return math.nan
        scatter = [
            float(np.var(one, ddof=1)) / float(np.mean(one)) ** 2 for one in values if np.mean(one) > 0
        ]
        return math.sqrt(float(np.mean(scatter))) if scatter else math.nan


def _spread(count: int, most: int) -> list[int]:
    """So many of these, evenly, the first and the last among them."""
    return sorted({round(one) for one in np.linspace(0, count - 1, min(count, most))})


def _measured(
    spec: Spec, number: int, line: _Line, pulses: Sequence[Pulse], traces: Sequence[Trace]
) -> Iterator[Row]:
    """The rows of one line. One sensor hears a site alone and with the others: its gain drops out."""
    whole, whole_trace = pulses[-1], traces[-1]
    for site, pulse, trace in zip(line.sites, pulses, traces, strict=False):
        place = spec.sites[site]
        yield {
            "round": float(number),
            "line": line.kind,
            "row": float(place.row),
            "column": float(place.column),
            "alone": _conductance(spec, line, site, pulse, trace),
            "together": _conductance(spec, line, site, whole, whole_trace),
        }


def _conductance(spec: Spec, line: _Line, site: int, pulse: Pulse, trace: Trace) -> float:
    """[S] current of this site over the volts between the terminals of its row and its column."""
    if wrong := trace.flags & UNUSABLE:
        raise BoardFault(f"{spec.name}: a read that says nothing of a line: {wrong.name}")
    place = spec.sites[site]
    row, ends = place.row, spec.rows + place.column
    volts = settled_volts(pulse, trace, row) - settled_volts(pulse, trace, ends)
    amps = -settled_amps(pulse, trace, ends) if line.kind == "row" else settled_amps(pulse, trace, row)
    return amps / volts


def _refuse_unknowable(spec: Spec) -> None:
    """Raise `Refused` where reads of this board do not say what its lines are."""
    if not spec.isolating:
        raise Refused(
            f"{spec.name} has no switches: no device can be read alone, and lines, contacts and neighbours"
            " are in every read",
            allowed="a crossbar with a switch at every crossing",
        )
    if spec.rows < 2 or spec.columns < 2:
        raise Refused(
            f"{spec.name} is {spec.rows} x {spec.columns}: what devices share with no other"
            " cannot be told from themselves",
            allowed="a crossbar of at least 2 x 2: devices that share a row, and others that share a column",
        )
    if len(spec.sites) != spec.rows * spec.columns:
        raise Refused(
            f"{spec.name} has devices at {len(spec.sites)} of {spec.rows * spec.columns} crossings",
            allowed="a crossbar with a device at each",
        )
    if spec.sensed is not None and len(set(spec.sensed)) < spec.lines:
        raise Refused(
            f"{spec.name} measures the currents of {len(set(spec.sensed))} of {spec.lines} lines",
            allowed="a board that measures all: rows tell Rn, columns Rs",
        )
