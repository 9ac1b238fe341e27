"""How pulses, traces and specs are written down: pulses and traces as bytes, a spec as JSON.

A blob is a fixed header, one byte a line that says which lines follow, and the raw little-endian
float64 of NumPy, so that what is read back is equal to what was sent in every bit, and writing
costs a few microseconds. On a board of many lines most are at 0 V and carry nothing: lines whose
samples are all +0.0 are left out. Nothing is unpickled or executed on the way back; lengths are
compared with what is there before anything is made of them, and what does not fit is `BadRun`.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any

import numpy as np

from labctl.errors import BadRun, Refused
from labctl.limits import Limits
from labctl.parts import Neuron, Shapes, Site
from labctl.pulse import Flag, Floats, Pulse, Purpose, Trace
from labctl.spec import Spec

_PULSE = struct.Struct("<BxHIq")
"""Purpose, lines, corners, repeats."""
_TRACE = struct.Struct("<BxHIIxxxxdd")
"""Estimated, lines, samples, flags, settle seconds, link seconds."""
_F8 = np.dtype("<f8")
_FEW_LINES = 8
"""Up to so many lines are all written: looking for empty ones would cost more than it saves."""
_MOST_NUMBERS = 2**27
"""No honest pulse or trace has more numbers in one array (1 GiB); a forged one may claim to."""

PURPOSES = list(Purpose)
_FLAGS = {flag.value: flag for flag in (Flag.NONE, *Flag)}
"""Those that stand alone, looked up at a fraction of the price of `Flag(...)`."""
_NUMBER_OF = {purpose: number for number, purpose in enumerate(PURPOSES)}


# ---- pulses and traces ----------------------------------------------------------------------


def encode_pulse(pulse: Pulse) -> bytes:
    """The pulse as bytes; `decode_pulse` gives the same numbers back, bit for bit."""
    corners, lines = pulse.volts.shape
    kept, volts = _present(pulse.volts)
    try:
        head = _PULSE.pack(_NUMBER_OF[pulse.purpose], lines, corners, pulse.repeats)
    except struct.error:
        raise Refused(
            f"a pulse of {corners} corners on {lines} lines, {pulse.repeats} times, cannot be written down",
            allowed="65,535 lines, 2**32 corners, 2**63 repeats",
        ) from None
    return head + pulse.driven.tobytes() + kept + _padding(2 * lines) + _raw(pulse.seconds) + volts


def encode_trace(trace: Trace) -> bytes:
    """The trace as bytes; `decode_trace` gives the same numbers back, bit for bit."""
    samples, lines = trace.volts.shape
    has_volts, volts = _present(trace.volts)
    has_amps, amps = _present(trace.amps)
    head = _TRACE.pack(
        1 if trace.estimated else 0, lines, samples, trace.flags, trace.settle_seconds, trace.link_seconds
    )
    return head + has_volts + has_amps + _padding(2 * lines) + _raw(trace.seconds) + volts + amps


def decode_pulse(blob: bytes) -> Pulse:
    """What `encode_pulse` wrote; raises `BadRun` for anything else."""
    purpose, lines, corners, repeats = _head(_PULSE, blob)
    driven, kept, start = _marks(blob, _PULSE.size, lines)
    columns = lines - kept.count(0)
    _refuse_unless_whole(blob, start, corners * (1 + columns))
    if not (purpose < len(PURPOSES) and corners * lines <= _MOST_NUMBERS):
        raise _damaged("a pulse of no known purpose or size")
    seconds = np.frombuffer(blob, _F8, corners, start)
    volts = _spread(blob, start + 8 * corners, corners, kept, columns)
    return Pulse(seconds, volts, np.frombuffer(driven, np.uint8) != 0, PURPOSES[int(purpose)], repeats)


def decode_trace(blob: bytes) -> Trace:
    """What `encode_trace` wrote; raises `BadRun` for anything else."""
    estimated, lines, samples, flags, settle, link = _head(_TRACE, blob)
    has_volts, has_amps, start = _marks(blob, _TRACE.size, lines)
    columns = lines - has_volts.count(0), lines - has_amps.count(0)
    _refuse_unless_whole(blob, start, samples * (1 + sum(columns)))
    if samples * lines > _MOST_NUMBERS:
        raise _damaged("a trace of an impossible size")
    seconds, start = np.frombuffer(blob, _F8, samples, start), start + 8 * samples
    volts = _spread(blob, start, samples, has_volts, columns[0])
    amps = _spread(blob, start + 8 * samples * columns[0], samples, has_amps, columns[1])
    flag = _FLAGS[flags] if flags in _FLAGS else Flag(flags)
    return Trace(seconds, volts, amps, flag, bool(estimated), settle, link)


def _present(values: Floats) -> tuple[bytes, bytes]:
    """Which lines are written, a byte each, and their numbers; -0.0 is not nothing."""
    lines = values.shape[1]
    if lines <= _FEW_LINES:
        return b"\1" * lines, _raw(values)
    values = np.ascontiguousarray(values, dtype=_F8)
    present = values.view(np.int64).any(axis=0)
    return present.tobytes(), values[:, present].tobytes()


def _raw(values: Floats) -> bytes:
    return values.tobytes() if values.dtype is _F8 else np.asarray(values, dtype=_F8).tobytes()


def _padding(count: int) -> bytes:
    """Zeros up to a multiple of 8, so that the numbers behind are aligned."""
    return bytes(-count % 8)


def _head(layout: struct.Struct, blob: bytes) -> tuple[Any, ...]:
    try:
        return layout.unpack_from(blob)
    except (struct.error, TypeError):
        raise _damaged("a pulse or a trace that ends in its header") from None


def _marks(blob: bytes, start: int, lines: int) -> tuple[bytes, bytes, int]:
    """Two rows of one byte a line, and where the numbers begin."""
    middle = start + lines
    end = middle + lines + -(2 * lines) % 8
    if len(blob) < end:
        raise _damaged("a pulse or a trace that ends before its numbers")
    return blob[start:middle], blob[middle : middle + lines], end


def _refuse_unless_whole(blob: bytes, start: int, numbers: int) -> None:
    """The numbers must fill the blob exactly, before an array is made of them."""
    if start + 8 * numbers != len(blob):
        raise _damaged(f"{len(blob)} bytes where {start + 8 * numbers} belong")


def _spread(blob: bytes, start: int, count: int, kept: bytes, columns: int) -> Floats:
    """Back to one column a line, 0 where nothing was written."""
    values = np.frombuffer(blob, _F8, count * columns, start).reshape(count, columns)
    if columns == len(kept):
        return values
    spread = np.zeros((count, len(kept)))
    spread[:, np.frombuffer(kept, np.uint8) != 0] = values
    return spread


def _damaged(wrong: str) -> BadRun:
    return BadRun(
        f"the journal is damaged: {wrong}", todo="restore the run folder from a copy; nothing was changed"
    )


# ---- specs ----------------------------------------------------------------------------------


def spec_to_json(spec: Spec) -> str:
    """All fields of a board's spec; no limit is written as `Infinity`."""
    return json.dumps(asdict(spec))


def spec_from_json(text: str) -> Spec:
    """What `spec_to_json` wrote; raises `BadRun` for anything else."""
    try:
        fields: dict[str, Any] = json.loads(text)
        fields["sites"] = tuple(_site(**site) for site in fields["sites"])
        fields["neurons"] = tuple(_neuron(**neuron) for neuron in fields["neurons"])
        fields["shapes"] = Shapes(fields["shapes"])
        fields["shared_sources"] = tuple(tuple(group) for group in fields["shared_sources"])
        for name in ("series_ohms", "grounded", "sensed"):
            fields[name] = None if fields[name] is None else tuple(fields[name])
        return Spec(**fields)
    except (Refused, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(f"the board's spec cannot be read ({type(error).__name__}: {error})") from error


def _site(limits: dict[str, float], **others: Any) -> Site:
    return Site(**others, limits=Limits(**limits))


def _neuron(inputs: list[int], **others: Any) -> Neuron:
    return Neuron(**others, inputs=tuple(inputs))
