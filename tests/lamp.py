"""A board that is a lamp: what a dying program must never leave on, seen from any other process.

A file of three numbers is its light: whether it is on, when it last went off (CLOCK_MONOTONIC, which all
processes of a machine share), and how often it did. Each pulse lights it for `hold`; between the pulses of
a list, and after it, it stays on, as a source does that nobody has told to stop.
"""

import ctypes
import hashlib
import mmap
import os
import signal
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from labctl.board import Board
from labctl.config import PositiveSeconds, Seconds, Section
from labctl.errors import BoardFault, Outputs, Refused
from labctl.pulse import Pulse, Purpose, Trace
from tests.boards import SPEC, NullBoard

_LIGHT = struct.Struct("=qqq")


class Light:
    """The file."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_LIGHT.pack(0, 0, 0))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _LIGHT.size)

    @property
    def on(self) -> bool:
        return bool(_LIGHT.unpack_from(self._map)[0])

    @property
    def off_at(self) -> float:
        """[s] of CLOCK_MONOTONIC."""
        return _LIGHT.unpack_from(self._map)[1] * 1e-9

    @property
    def times_off(self) -> int:
        return _LIGHT.unpack_from(self._map)[2]

    def switch(self, on: bool) -> None:
        was, at, times = _LIGHT.unpack_from(self._map)
        if bool(was) != on:
            fresh = (1, at, times) if on else (0, time.monotonic_ns(), times + 1)
            _LIGHT.pack_into(self._map, 0, *fresh)

    def close(self) -> None:
        self._map.close()


class LampSettings(Section):
    light: str
    hold: Seconds = 0.0
    trouble: Literal[
        "", "fault", "foreign", "crash", "stuck", "deaf", "hang", "unknown", "unsure", "refuse", "dumb"
    ] = ""
    stuck: PositiveSeconds = 3.0


class Lamp(Board):
    """`trouble` comes with the third pulse of a list: then the first two have traces."""

    Settings = LampSettings

    def __init__(self, settings: LampSettings) -> None:
        self.spec = SPEC
        self._settings = settings
        self._null = NullBoard()
        self._unsure = 2

    def ready(self) -> str:
        return f"a lamp in process {os.getpid()}"

    def _open(self) -> None:
        if self._settings.trouble == "refuse":
            raise Refused("the lamp has no bulb", allowed="a bulb", todo="screw one in")
        self._light = Light(Path(self._settings.light))

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for index, pulse in enumerate(pulses):
            self._light.switch(on=True)
            if self._settings.hold:
                time.sleep(self._settings.hold)
            if index == 2:
                self._trouble()
            yield from self._null._drive([pulse])

    def _trouble(self) -> None:
        match self._settings.trouble:
            case "fault":
                raise BoardFault("it smells", allowed="fresh air", saved="nothing", todo="open a window")
            case "foreign":
                raise ValueError("what?")
            case "crash":
                ctypes.string_at(0)
            case "stuck":  # in a C library that does not mind signals
                hashlib.pbkdf2_hmac("sha256", b"", b"", int(self._settings.stuck * 1_500_000))
            case "deaf":  # in a driver that takes anything for an error of its own
                for _ in range(int(self._settings.stuck * 100)):
                    try:
                        time.sleep(0.01)
                    except BaseException:  # noqa: BLE001
                        continue
            case "hang":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                pass

    def _make_safe(self) -> Outputs:
        trouble, light = self._settings.trouble, Light(Path(self._settings.light))
        try:
            if trouble == "unknown" or (trouble == "unsure" and light.on and self._unsure > 0):
                self._unsure -= 1
                return Outputs.UNKNOWN
            light.switch(on=False)
            return Outputs.UNKNOWN if trouble == "dumb" else Outputs.OFF
        finally:
            light.close()


PULSE = Pulse(
    np.array([0.0, 1e-6, 9e-6, 1e-5]),
    np.array([[0.0, 0.0], [0.1, 0.0], [0.1, 0.0], [0.0, 0.0]]),
    np.array([True, True]),
    Purpose.READ,
)


class Null(NullBoard):
    """Nothing but the way there and back."""

    class Settings(Section):
        pass

    def __init__(self, settings: "Null.Settings") -> None:
        super().__init__()
