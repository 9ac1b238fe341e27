"""What a guard and its client say to each other: frames of bytes on a socket, one answer to each request.

A frame is a short head, the lengths of its parts, and the parts: encoded pulses one way, encoded traces
the other, JSON for what is rare (settings, errors). One `send` and, while it fits, one `recv` a frame.
Nothing is unpickled: an error crosses as the name of a class of `labctl.errors` and its five answers.

The last word of a guard is the code that its process ends with: why, and what is known of the outputs.
That word gets through whatever became of the socket.
"""

from __future__ import annotations

import json
import socket
import struct
import traceback
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeAlias

from labctl import errors
from labctl.codec import decode_pulse, decode_trace, encode_pulse, encode_trace
from labctl.errors import BoardFault, LabError, Misbehaved, Outputs
from labctl.pulse import Pulse, Trace

_HEAD = struct.Struct("<QII")
"""Bytes after the head, kind, number of parts."""
_CHUNK = 1 << 16
_LARGEST = 1 << 36
"""[byte] no honest frame is larger."""


class Kind(IntEnum):
    """Of a frame: what is asked, and how it was answered."""

    HELLO = 1
    OPEN = 2
    APPLY = 3
    MAKE_SAFE = 4
    CLOSE = 5
    READY = 6
    DONE = 7
    FAILED = 8


Frame: TypeAlias = tuple[int, list[bytes]]
"""Kind and parts."""


def frame(kind: Kind, parts: Sequence[bytes] = ()) -> bytes:
    """A frame, ready to send."""
    lengths = struct.pack(f"<{len(parts)}Q", *map(len, parts))
    body = b"".join((lengths, *parts))
    return _HEAD.pack(len(body), kind, len(parts)) + body


def receive(link: socket.socket, waiting: Callable[[], None]) -> Frame:
    """The next frame. `waiting` is called each time that the socket's own time-out passes.

    `EOFError` when the other end is closed, or sends what is no frame.
    """
    data = _some(link, waiting)
    while len(data) < _HEAD.size:
        data += _some(link, waiting)
    length, kind, count = _HEAD.unpack_from(data)
    missing = _HEAD.size + length - len(data)
    if missing < 0 or length > _LARGEST or 8 * count > length:
        raise EOFError
    if missing:
        data = _all(link, data, missing, waiting)
    start = _HEAD.size + 8 * count
    parts = list[bytes]()
    for size in struct.unpack_from(f"<{count}Q", data, _HEAD.size):
        parts.append(data[start : start + size])
        start += size
    if start != len(data):
        raise EOFError
    return kind, parts


def _some(link: socket.socket, waiting: Callable[[], None]) -> bytes:
    while True:
        try:
            data = link.recv(_CHUNK)
        except BlockingIOError:
            waiting()
            continue
        if not data:
            raise EOFError
        return data


def _all(link: socket.socket, data: bytes, missing: int, waiting: Callable[[], None]) -> bytes:
    whole = bytearray(data) + bytearray(missing)
    view = memoryview(whole)[len(data) :]
    while view:
        try:
            count = link.recv_into(view)
        except BlockingIOError:
            waiting()
            continue
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(whole)


# ---- pulses, traces, errors -----------------------------------------------------------------


def asked(pulses: Sequence[Pulse]) -> bytes:
    """The request to drive these."""
    return frame(Kind.APPLY, [encode_pulse(pulse) for pulse in pulses])


def pulses_of(parts: Sequence[bytes]) -> list[Pulse]:
    """The pulses of such a request."""
    return [decode_pulse(part) for part in parts]


def answered(traces: Sequence[Trace]) -> bytes:
    """The answer that all went well."""
    return frame(Kind.DONE, [encode_trace(trace) for trace in traces])


def traces_of(parts: Sequence[bytes]) -> list[Trace]:
    """The traces of such an answer."""
    return [decode_trace(part) for part in parts]


def failed(error: BaseException) -> bytes:
    """The answer that it did not: the error, and the traces that were measured before."""
    if not isinstance(error, LabError):
        told = "".join(traceback.format_exception(error))
        error = BoardFault(
            f"{type(error).__name__}: {error}", todo="this is a fault of the board's driver: report it"
        )
        error.add_note(f"in the guard:\n{told}")
    outputs = error.outputs.value if error.outputs else ""
    head = {"class": _class_of(error), "outputs": outputs, "notes": getattr(error, "__notes__", [])}
    head |= {name: getattr(error, name) for name in ("wrong", "allowed", "saved", "todo")}
    traces = error.traces if isinstance(error, Misbehaved) else ()
    return frame(Kind.FAILED, [packed(head), *map(encode_trace, traces)])


def error_of(parts: Sequence[bytes]) -> LabError:
    """The error of such an answer: of the same class, with the same five answers and traces."""
    head = unpacked(parts[0])
    kind: type[LabError] = getattr(errors, head["class"])
    outputs = Outputs(head["outputs"]) if head["outputs"] else None
    answers = {name: head[name] for name in ("allowed", "saved", "todo")}
    if issubclass(kind, Misbehaved):
        error = kind(
            head["wrong"], outputs=outputs or Outputs.UNKNOWN, traces=traces_of(parts[1:]), **answers
        )
    else:
        error = kind(head["wrong"], outputs=outputs, **answers)
    for note in head["notes"]:
        error.add_note(note)
    return error


def _class_of(error: LabError) -> str:
    """The name of its class, or of the nearest above it that everybody knows."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)


def packed(told: Mapping[str, Any]) -> bytes:
    """A part of names and plain values."""
    return json.dumps(told).encode()


def unpacked(part: bytes) -> dict[str, Any]:
    """What `packed` packed."""
    return json.loads(part)


# ---- the last word --------------------------------------------------------------------------


class End(IntEnum):
    """Why a guard ended."""

    LEFT = 0
    """Its client closed the board, or is gone."""
    LEASE = 1
    """Its client was not heard from for as long as the lease."""
    STOPPED = 2
    """`labctl stop`."""
    TERMINATED = 3
    """SIGTERM."""


_FIRST_CODE = 64
_OUTPUTS = list(Outputs)


def code_of(why: End, outputs: Outputs) -> int:
    """The code that a guard's process ends with."""
    return _FIRST_CODE + len(_OUTPUTS) * why + _OUTPUTS.index(outputs)


def last_word(code: int) -> tuple[End, Outputs] | None:
    """What that code says; None: the process did not end as a guard does."""
    number = code - _FIRST_CODE
    if not 0 <= number < len(End) * len(_OUTPUTS):
        return None
    return End(number // len(_OUTPUTS)), _OUTPUTS[number % len(_OUTPUTS)]
