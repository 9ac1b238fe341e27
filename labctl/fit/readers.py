"""Files and folders to recordings: what a format is recognized by, and what it leaves to be told.

==================================  ====================================================================
two columns                         V, I: no time, so a period (or a step) must be told
three columns                       t, V, I
``t_s, v_source_V, v_resistor_V``   current from the resistor, whose ohms stand in the file's name (`Rs`)
Memristor Discovery, capture        a folder with `V1.csv` (source) and `V2.csv` (resistor): time, volts
Memristor Discovery, I-V            `iv.csv`: device volts and microamps, no time
a run of labctl                     its folder: every pulse on one site, in order
==================================  ====================================================================

docs/reference/data-formats.md is this table in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from labctl.errors import BadData
from labctl.fit import discovery, runs
from labctl.fit.columns import (
    Role,
    Units,
    by_role,
    looks_swapped,
    refuse_implausible,
    refuse_implausible_time,
)
from labctl.fit.delimited import Numbers, read_numbers
from labctl.fit.recording import Recording
from labctl.pulse import Floats

SUFFIXES = (".csv", ".tsv", ".txt", ".dat", ".csv.gz", ".tsv.gz", ".txt.gz")
CORRECTIONS = ("swap", "sign")
FEWEST = 40
"""Samples of the shortest recording that is worth a fit."""
_SERIES = re.compile(r"[_-]Rs?([0-9]+(?:\.[0-9]+)?)(k?)(?:ohm)?(?=[_.-]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a person says about the data where the files do not."""

    series_ohms: float | None = None
    period: float | None = None
    """[s] of one cycle."""
    step: float | None = None
    """[s] between two samples."""
    units: Units = field(default_factory=Units)
    across_device: bool | None = None
    """Whether voltages are the device's own; None: as the header says, or the source's."""
    corrections: frozenset[str] = field(default_factory=frozenset[str])
    """Of `CORRECTIONS`: what is wrong with the data and is to be put right."""
    site: str | None = None
    """Of a run, its label or number; None: the only one that was driven."""


def read(path: Path, telling: Telling) -> list[Recording]:
    """All recordings of a file, of a folder of files, or of a run. Raises `BadData` (or `BadRun`)."""
    if path.is_dir():
        if runs.is_run(path):
            return runs.read(path, telling.site)
        if discovery.is_capture(path):
            return [_recording(path / "V1.csv", discovery.capture(path), telling, str(path.name))]
        files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES))
        if not files:
            raise BadData(f"{path} has no data in it", allowed=f"{', '.join(SUFFIXES)}, or a run's folder")
        return [recording for file in files for recording in read(file, telling)]
    if discovery.is_part_of_capture(path):
        return [_recording(path, discovery.capture(path.parent), telling, path.parent.name or path.name)]
    table = read_numbers(path)
    if discovery.is_iv(table):
        return [_recording(path, discovery.iv(table, telling.units), telling, path.name)]
    return [_recording(path, (by_role(table, telling.units), table), telling, path.name)]


def _recording(
    path: Path, read_in: tuple[Mapping[Role, Floats], Numbers], telling: Telling, name: str
) -> Recording:
    columns, table = read_in
    if len(table.values) < FEWEST:
        raise BadData(
            f"{path} has {len(table.values)} rows",
            allowed=f"{FEWEST} or more, to fit a model to",
            todo="look whether the file was cut off, or record with more samples",
        )
    series = _series(path, telling)
    seconds = _seconds(path, columns, table, telling)
    volts, amps = _volts_and_amps(path, columns, telling, series)
    if "sign" in telling.corrections:
        amps = -amps
    remarks = table.remarks + tuple(f"corrected as told: {one}" for one in sorted(telling.corrections))
    refuse_implausible(path, volts, amps, series or 0.0)
    own = series is None
    if own and Role.DEVICE not in columns and telling.across_device is None:
        remarks += ("no series resistance was told: voltages are taken to be the device's own",)
    stem = re.sub(r"\.(csv|tsv|txt|dat)(\.gz)?$", "", name, flags=re.IGNORECASE)
    return Recording(stem, seconds, volts, amps, series or 0.0, telling.period or 0.0, remarks)


def _series(path: Path, telling: Telling) -> float | None:
    if telling.series_ohms is not None:
        return telling.series_ohms
    match = _SERIES.search(path.name.removesuffix(".gz").removesuffix(".csv"))
    return float(match[1]) * (1e3 if match[2] else 1.0) if match else None


def _volts_and_amps(
    path: Path, columns: Mapping[Role, Floats], telling: Telling, series: float | None
) -> tuple[Floats, Floats]:
    """[V] of the source and [A]; of the device where no resistor stands before it."""
    volts = next((columns[r] for r in (Role.SOURCE, Role.VOLTS, Role.DEVICE) if r in columns), None)
    amps = columns.get(Role.AMPS)
    if amps is None and Role.RESISTOR in columns:
        if not series:
            raise BadData(
                f"{path}: the current is that of a resistor of unknown resistance",
                todo='--series "5.11 kohm", or _Rs5110 in the file\'s name',
            )
        amps = columns[Role.RESISTOR] / series
    if volts is None or amps is None:
        missing = "voltage" if volts is None else "current"
        raise BadData(f"{path}: no column is a {missing}", allowed=f"headers such as {_EXAMPLES}")
    volts, amps = _unswapped(path, volts, amps, telling)
    device = Role.DEVICE in columns and Role.SOURCE not in columns and Role.VOLTS not in columns
    if (device if telling.across_device is None else telling.across_device) and series:
        volts = volts + amps * series
    return volts, amps


_EXAMPLES = "t [s], V [V], I [mA]; or time (ms), voltage (V), current (uA)"


def _unswapped(path: Path, volts: Floats, amps: Floats, telling: Telling) -> tuple[Floats, Floats]:
    if "swap" in telling.corrections:
        return amps, volts
    if looks_swapped(volts, amps):
        raise BadData(
            f"{path}: columns look swapped: voltages of at most {np.abs(volts).max():.3g}"
            f" and currents of up to {np.abs(amps).max():.3g}",
            todo="--correct swap, or headers in the right order",
        )
    return volts, amps


def _seconds(path: Path, columns: Mapping[Role, Floats], table: Numbers, telling: Telling) -> Floats:
    if Role.TIME in columns:
        seconds = columns[Role.TIME]
        steps = np.diff(seconds)
        if not bool((steps > 0).all()):
            place = int(np.argmin(steps > 0))
            raise BadData(
                f"{path}: time stands still or goes back after {seconds[place]:.6g} s",
                todo="sort the rows, join what was recorded in pieces, or look which column is the time",
            )
        if telling.units.time is None:
            refuse_implausible_time(path, float(np.median(steps)))
        return seconds - seconds[0]
    if telling.step is not None:
        return table.places * telling.step
    if telling.period is not None:
        cycles = discovery.cycles(columns)
        return table.places * (telling.period * cycles / (table.places[-1] + 1.0))
    raise BadData(
        f"{path} has no column of time, and switching is a matter of time",
        todo='--period "1 s" of one cycle, or --step "1 ms" between two samples',
    )
