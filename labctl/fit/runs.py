"""A run's pulses on one site, in order, as one recording.

Between two lists of pulses nothing is driven, and a device without drive keeps its state: so pulses
follow each other directly. A pulse whose waveform was dropped, or whose outcome is unknown, may have
moved the state: there a new recording begins. Traces carry how long each sample stands for and not
when it was taken; `_clock` chooses the times at which the pulse itself had the volts that were
measured. Every pulse weighs the same in the fit, however long it took, but what is far below the
largest current of the run counts little: that is noise. What is left between model and measurement is
averaged over bins of a pulse, as an instrument that samples evenly would: the moment of a jump is then
worth as much as the jump is high, and no more. The node between resistor and device is slow by what
the board says (`Spec.response_seconds`), and the model that is fitted is slow by as much.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from labctl.errors import BadData
from labctl.fit.recording import Recording
from labctl.journal import Journal, Outcome, Stored
from labctl.pulse import Floats, Indices, Pulse, Trace
from labctl.runfolder import JOURNAL
from labctl.spec import Spec

BINS = 200
"""In which one pulse is compared: a simulator's samples crowd where the current jumps, by the microsecond."""
FAINT = 0.01
"""Part of the largest mean square current of a run below which a pulse is not normalized further."""


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return (folder / JOURNAL).is_file()


def read(folder: Path, site: str | None) -> list[Recording]:
    """The recordings of one site. Raises `BadRun` for a damaged run, `BadData` for one without traces."""
    with Journal.open(folder.absolute().parent, folder.name) as journal:
        return of_entries(journal.spec, list(journal.entries()), site, folder.name)


def of_entries(spec: Spec, entries: list[Stored], site: str | None, name: str) -> list[Recording]:
    """The same from the entries of a journal."""
    alone = [entry for entry in entries if _selects(spec, entry.pulse)]
    chosen = _site(spec, alone, site, name)
    mine = [entry for entry in alone if spec.target(entry.pulse) == chosen]
    mine = [entry for entry in mine if entry.outcome is not Outcome.NOT_DRIVEN]
    chains = [list(chain) for whole, chain in groupby(mine, key=lambda e: e.trace is not None) if whole]
    if not chains:
        raise BadData(f"{name}: no waveform of site {spec.label(chosen)} was kept")
    lost = sum(entry.trace is None for entry in mine)
    remarks = (f"{lost} pulses without a waveform: the recording is cut there",) if lost else ()
    several = len(chains) > 1
    return [
        _joined(spec, chain, chosen, f"{name}-{k + 1}" if several else name).remarked(*remarks)
        for k, chain in enumerate(chains)
    ]


def _selects(spec: Spec, pulse: Pulse) -> bool:
    """Whether exactly one site is in the circuit."""
    return spec.isolating and not spec.computing(pulse.driven) and len(spec.connected(pulse.driven)) == 1


def _site(spec: Spec, entries: list[Stored], site: str | None, name: str) -> int:
    driven = sorted({int(spec.connected(entry.pulse.driven)[0]) for entry in entries})
    if not driven:
        raise BadData(
            f"{name}: no pulse selected a single site", allowed="a run that drives sites one by one"
        )
    some = ", ".join(map(spec.label, driven[:12])) + (", …" if len(driven) > 12 else "")
    if site is None:
        if len(driven) > 1:
            raise BadData(f"{name} drove {len(driven)} sites", allowed=some, todo="say which: --site LABEL")
        return driven[0]
    found = next((one for one in driven if site in (spec.label(one), str(one))), None)
    if found is None:
        raise BadData(
            f"{name} never drove site {site[:40]} alone", allowed=some, todo="--site with one of these"
        )
    return found


class _Piece(NamedTuple):
    """One pulse as measured, from its own start."""

    seconds: Floats
    volts: Floats
    amps: Floats
    weights: Floats
    bins: Indices
    duration: float

    @property
    def square(self) -> float:
        """[A^2] mean square current."""
        return float(self.weights @ self.amps**2) / max(float(self.weights.sum()), 1e-300)


def _joined(spec: Spec, chain: list[Stored], site: int, name: str) -> Recording:
    place = spec.sites[site]
    row, column = place.row, spec.rows + place.column
    pieces = [_piece(spec, e.pulse, e.trace, row, column) for e in chain if e.trace is not None]
    starts = np.cumsum([0.0] + [piece.duration for piece in pieces[:-1]])
    firsts = np.cumsum([0] + [int(piece.bins[-1]) + 1 for piece in pieces[:-1]])
    least = max(FAINT * max(piece.square for piece in pieces), 1e-300)
    weights = [p.weights / (max(float(p.weights.sum()), 1e-300) * max(p.square, least)) for p in pieces]
    seconds = np.concatenate([start + p.seconds for start, p in zip(starts, pieces, strict=True)])
    bins = np.concatenate([first + p.bins for first, p in zip(firsts, pieces, strict=True)])
    keep = np.concatenate([[True], np.diff(seconds) > 0])
    begins = np.flatnonzero(np.concatenate([[True], np.diff(bins[keep]) > 0]))
    return Recording(
        name,
        seconds[keep],
        np.concatenate([p.volts for p in pieces])[keep],
        np.concatenate([p.amps for p in pieces])[keep],
        spec.series_ohms[row] + spec.series_ohms[column],
        weights=np.concatenate(weights)[keep],
        response_seconds=spec.response_seconds,
        bins=begins,
    )


def _piece(spec: Spec, pulse: Pulse, trace: Trace, row: int, column: int) -> _Piece:
    seconds = _clock(pulse, trace, row)
    count = BINS * pulse.repeats
    bins = np.clip((seconds * (count / pulse.duration)).astype(np.intp), 0, count - 1)
    return _Piece(seconds, *_measured(spec, trace, row, column), bins, pulse.duration)


def _measured(spec: Spec, trace: Trace, row: int, column: int) -> tuple[Floats, Floats, Floats]:
    """[V] across resistor and device, [A] through the device, [s] that each sample stands for.

    Where the column's current is measured it is the device's own; what flows into the row charges the
    sense node too.
    """
    at_column = spec.sensed is None or column in spec.sensed
    amps = -trace.amps[:, column] if at_column else trace.amps[:, row]
    return trace.volts[:, row] - trace.volts[:, column], amps, trace.seconds


def _clock(pulse: Pulse, trace: Trace, row: int) -> Floats:
    """[s], shape (samples,): when each sample was taken, from the start of the pulse."""
    w = trace.seconds
    corners = np.concatenate([k * pulse.seconds[-1] + pulse.seconds for k in range(pulse.repeats)])
    level = np.tile(pulse.volts[:, row], pulse.repeats)
    clocks = [np.cumsum(w) - w / 2, _simpson(w), _trapezoid(w)]
    misses = [float(np.abs(np.interp(t, corners, level) - trace.volts[:, row]).mean()) for t in clocks]
    return clocks[int(np.argmin(misses))]


def _simpson(w: Floats) -> Floats:
    """Times of samples whose weights are those of Simpson's rule over steps of any length."""
    if len(w) % 2 == 0:
        return np.cumsum(w) - w / 2
    ends = np.concatenate([[0.0], np.cumsum(1.5 * w[1::2])])
    times = np.empty(len(w))
    times[0::2], times[1::2] = ends, (ends[1:] + ends[:-1]) / 2
    return times


def _trapezoid(w: Floats) -> Floats:
    """The same for the trapezoidal rule."""
    signs = np.where(np.arange(len(w)) % 2, -1.0, 1.0)
    steps = 2 * signs * np.cumsum(signs * w)
    return np.concatenate([[0.0], np.cumsum(np.maximum(steps[:-1], 0.0))])
