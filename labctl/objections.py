"""What is wrong with a pulse, in words: its form, what the sources cannot make, what a site must not see.

Only pulses that a look at the extremes did not clear come here (`Spec.check`), so these rules may be
slow; they are written so that a NaN fails every one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from labctl.parts import Shapes
from labctl.pulse import Floats, Indices, Pulse, Purpose
from labctl.sneak import Sneak

if TYPE_CHECKING:
    from labctl.spec import Spec

MOST_REPEATS = 1_000_000
ROUNDED = 1 + 1e-9
"""Currents that are higher by less come from adding and dividing."""


def objections(spec: Spec, pulse: Pulse) -> Iterator[tuple[str, str]]:
    """What is wrong with one pulse, and what is allowed; nothing if nothing.

    Of a malformed pulse nothing else is said: there is no physics in it.
    """
    malformed = list(_malformed(spec, pulse))
    yield from malformed
    if not malformed:
        yield from _unmakeable(spec, pulse)
        yield from _harmful(spec, pulse)


def countable(repeats: object) -> bool:
    """Whether so many repeats can be asked for."""
    return type(repeats) is int and 1 <= repeats <= MOST_REPEATS


def well_formed(lines: int, pulse: Pulse) -> bool:
    """Whether its arrays fit each other and a board of so many lines."""
    shape = pulse.volts.shape
    return (
        len(shape) == 2
        and shape[0] >= 2
        and shape[1] == lines
        and pulse.seconds.shape == shape[:1]
        and pulse.driven.shape == shape[1:]
        and pulse.driven.dtype.char == "?"
        and pulse.volts.dtype.char == pulse.seconds.dtype.char == "d"
    )


def _malformed(spec: Spec, pulse: Pulse) -> Iterator[tuple[str, str]]:
    if not well_formed(spec.lines, pulse):
        yield (
            f"volts of shape {pulse.volts.shape}, seconds {pulse.seconds.shape}, driven {pulse.driven.shape}",
            f"floats (corners, {spec.lines}), floats (corners,), booleans ({spec.lines},); 2 corners or more",
        )
        return
    if not np.isfinite(pulse.volts).all():
        yield "a voltage that is not a finite number", "finite volts on every line, 0 where it is open"
    starts, finite = pulse.seconds[0] == 0.0, np.isfinite(pulse.seconds).all()
    if not (starts and finite and np.all(pulse.seconds[1:] > pulse.seconds[:-1])):
        yield "times that do not start at 0 and increase", "0 s first, then later and later"
    if not countable(pulse.repeats):
        yield f"{pulse.repeats} repeats", f"a whole number from 1 to {MOST_REPEATS:,}"
    if pulse.purpose is Purpose.WAIT and pulse.volts.any():
        yield "a wait with a voltage", "0 V on every line"


def _unmakeable(spec: Spec, pulse: Pulse) -> Iterator[tuple[str, str]]:
    length = float(pulse.seconds[-1])
    if not (spec.shortest_pulse <= length <= spec.longest_pulse):
        yield f"{length:.6g} s long", f"{spec.shortest_pulse:.6g} s to {spec.longest_pulse:.6g} s"
    highest = float(np.abs(pulse.volts[:, pulse.driven]).max(initial=0.0))
    if not highest <= spec.source_volts:
        yield f"{highest:.6g} V on a line", f"{spec.source_volts:.6g} V, either sign, against ground"
    if spec.shapes is Shapes.STEPS:
        slopes = np.diff(pulse.seconds)[np.diff(pulse.volts, axis=0).any(axis=1)]
        if not np.all(slopes <= spec.edge_seconds):
            yield (
                f"an edge of {slopes.max():.6g} s",
                f"levels with edges of {spec.edge_seconds:.6g} s at most",
            )
    for group in spec.shared_sources:
        waves = pulse.volts[:, [line for line in group if pulse.driven[line]]]
        if waves.shape[1] > 1 and not np.all(waves == waves[:, :1]):
            yield f"different voltages on lines {group}", "one and the same: they share a source"
    if spec.computing(pulse.driven) and any(pulse.driven[neuron.output] for neuron in spec.neurons):
        yield "a source on a line that a neuron drives", "inputs driven, all else left open"
    if pulse.volts[:, list(spec.grounded)].any():
        yield "a voltage on a line that can only be grounded", "0 V, or left open"


def _harmful(spec: Spec, pulse: Pulse) -> Iterator[tuple[str, str]]:
    exposed = spec.exposed(pulse)
    if len(exposed) == 0:
        return
    look = _among_currents if spec.shared(pulse.driven) else _of_one_current
    low, high, volts, ohms = look(spec, pulse, exposed)
    for number, index in enumerate(map(int, exposed)):
        limits, name = spec.sites[index].limits, spec.label(index)
        if not (limits.low_volts <= low[number] and high[number] <= limits.high_volts):
            peak = high[number] if not high[number] <= limits.high_volts else low[number]
            yield (
                f"{peak:.6g} V across site {name}",
                f"{limits.low_volts:.6g} V to {limits.high_volts:.6g} V",
            )
        if not volts[number] <= limits.amps * ohms[number]:
            yield (
                f"{volts[number] / ohms[number]:.6g} A through site {name} if it had"
                f" {limits.least_ohms:.6g} ohm",
                f"{limits.amps:.6g} A ({spec.sites[index].dopant})",
            )
        if not pulse.seconds[-1] <= limits.seconds:
            yield f"{pulse.seconds[-1]:.6g} s on site {name}", f"{limits.seconds:.6g} s"


Look: TypeAlias = tuple[Floats, Floats, Floats, Floats]
"""Of sites, (sites,): lowest and highest [V] that they see; [V] and [ohm] of their highest current."""


def _of_one_current(spec: Spec, pulse: Pulse, exposed: Indices) -> Look:
    """Of sites that no current goes round."""
    across, ohms = spec.across(pulse, exposed), spec.loop_ohms(pulse.driven, exposed)
    rails = np.array([spec.rails(pulse.driven, index) for index in map(int, exposed)])
    low, high = np.minimum(across.min(axis=0), rails[:, 0]), np.maximum(across.max(axis=0), rails[:, 1])
    low = np.where(spec.loose(pulse.driven, exposed), np.minimum(low, -high), low)
    return low, high, np.maximum(-low, high), ohms


def _among_currents(spec: Spec, pulse: Pulse, exposed: Indices) -> Look:
    """Of sites that share lines. A closer look is for those that a quick one leaves in doubt."""
    sneak, limits = Sneak(spec, pulse, exposed), [spec.sites[index].limits for index in map(int, exposed)]
    least, amps = (np.array([getattr(each, name) for each in limits]) for name in ("least_ohms", "amps"))
    low, high = sneak.across()
    volts = np.maximum(-low, high)
    doubtful = np.flatnonzero(~(volts <= amps * least))
    if len(doubtful):
        volts[doubtful] = sneak.amps(doubtful) * least[doubtful] / ROUNDED
    return low, high, volts, least
