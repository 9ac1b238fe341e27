"""An OpenMENA board that is not there: its firmware's text protocol before a simulated 8 x 8 crossbar.

Behaves as `memristor_rev.ino` of github.com/ali20480/OpenMENA does, its oddities included: replies end with
CR LF, a train is answered by nothing, an unknown command too, and text becomes codes by truncation. Where the
firmware would do harm without a word - codes beyond a converter, too few fields, more volts than a device
bears - this does nothing and remembers it in `harm`.
"""

from __future__ import annotations

import re

import numpy as np

from labctl.addressing import read_row
from labctl.config import PositiveOhms, Section, Volts, build
from labctl.errors import Refused
from labctl.pulse import Bools, Floats, Pulse, Purpose
from labctl.site_limits import SiteLimits
from sim_backend.compact import CompactBoard
from sim_backend.emulators.serving.instrument import Emulated
from sim_backend.simulated import SimulatedSettings

LINES = 8
_ON, _AVERAGES = 45e-3, 20
_EDGE = 1e-7
"""[s] of a switch that closes or opens."""
_GREETING = (
    "",
    "memristor_rev.ino",
    "AD5593R_LIB_VERSION: 0.1.2",
    "",
    "Connect: 1",
    "Address: 11",
    "\t".join(["0"] * LINES) + "\t",
    "",
    "\t".join(["0"] * LINES) + "\t",
    "Ready to receive commands:",
    " - INFEREMULTIPLE:",
    " - WEIGHTMODIF",
    " - WEIGHTMODIFALL",
    "",
)
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?", re.ASCII)


class OpenMenaSettings(Section):
    """What the board is like, and what stands in it."""

    sense: PositiveOhms = 32e3
    """Volts at a converter for each amp out of its column."""
    zero: Volts = 0.0
    """At a converter when nothing flows."""
    devices: SimulatedSettings = SimulatedSettings(
        layout="crossbar",
        model="yakopcic",  # with a threshold: looks are long, and those of the other models drift meanwhile
        rows=LINES,
        columns=LINES,
        series=2085.0,
        limits=SiteLimits(quiet_voltage=0.23, quiet_resistance=7e3),
        switch=1e-3,
        sense=0.0,
    )


class OpenMena(Emulated):
    """The firmware, and what it does to the devices. Time inside is virtual."""

    Settings = OpenMenaSettings
    terminator = b"\n"

    def __init__(self, settings: OpenMenaSettings | None = None) -> None:
        self._settings = settings or OpenMenaSettings()
        _warm_up(self._settings.devices)
        self.board = CompactBoard(self._settings.devices)
        self.board.__enter__()
        self.harm: list[str] = []
        """What would have damaged a device or a converter, and was not done."""
        self.seconds = 0.0
        """[s] that the firmware has spent."""
        self._waiting = b""
        self.power_cycle()
        self._waiting = b""  # nobody listened when it was first switched on

    def power_cycle(self) -> None:
        """The Arduino starts again: it greets, and its outputs stand where they wake up."""
        self.rows = [int(0.8 * 4095 / 1.5)] * LINES
        self.column = 0
        self._waiting = _lines(*_GREETING)

    def receive(self, message: bytes) -> bytes:
        """One line; what it prints."""
        waiting, self._waiting = self._waiting, b""
        name, _, rest = message.decode("latin-1").strip().partition(":")
        command = {
            "INFEREMULTIPLE": self._look,
            "WEIGHTMODIF": self._train,
            "SETVOLTAGES": self._set,
        }.get(name)
        return waiting + (command(rest.split()) if command else b"")

    # ---- commands ---------------------------------------------------------------------------

    def _set(self, words: list[str]) -> bytes:
        if len(words) < LINES + 1:
            return _lines("Error: SETVOLTAGES requires 9 floats: v0 ... v7 due_voltage")
        volts = [_float(word) for word in words[: LINES + 1]]
        due = (volts[8] - 0.545) / 0.665
        self.rows = [max(0, min(4095, int(one * 4095 / 1.5))) for one in volts[:8]]
        self.column = max(0, min(4095, int(due * 4095 / 3.3)))
        self.seconds += 16e-3
        told = "".join(f"AD5593R DAC{index}: {one:.3f} V\t" for index, one in enumerate(volts[:8]))
        return _lines("Voltages updated:", f"{told}Due DAC1: {due:.3f} V")

    def _look(self, words: list[str]) -> bytes:
        count = _int(words[0]) if words else 0
        if count <= 0:
            return _lines("Error: INFEREMULTIPLE requires N > 0")
        codes = [max(0, min(4095, _int(word))) for word in words[1 : 1 + LINES * count]]
        if len(codes) != LINES * count:
            return _lines(f"Error: Expected {LINES * count} DAC values after N.")
        rows = [self._looked(codes[start : start + LINES]) for start in range(0, len(codes), LINES)]
        told = ["".join(f"{one:.2f}\t" for one in row) for row in rows]
        return _lines(
            f"Running inference for {count} input vectors...",
            "INFEREMULTIPLE ADC Averages:",
            *told,
            "INFEREMULTIPLE complete.",
        )

    def _looked(self, codes: list[int]) -> list[float]:
        self.rows = codes
        volts = np.append(np.array(codes) * 1.5 / 4096 - 0.75, np.zeros(LINES))
        amps = self._drive(volts, np.ones(2 * LINES, dtype=np.bool_), _ON * _AVERAGES, 1, Purpose.READ)
        self.seconds += _AVERAGES * 50e-3 + 45e-3
        if amps is None:
            return [0.0] * LINES
        volts_out = self._settings.zero + self._settings.sense * -amps[LINES:]
        return np.clip(np.trunc(volts_out * 4095 / 3.3), 0, 4095).tolist()

    def _train(self, words: list[str]) -> bytes:
        if len(words) < 9:
            self.harm.append(f"WEIGHTMODIF with {len(words)} fields")
            return b""
        row, column, sign, count = (_int(word) for word in words[:4])
        if not (0 <= row < LINES and 0 <= column < LINES and sign in (1, -1) and count > 0):
            return _lines("Invalid arguments. Indices 0–7, sign 1/-1, pulses > 0")
        above, below = (_float(word) for word in (words[4:6] if sign == 1 else words[6:8]))
        codes = int(above * 4095 / 1.5), int((below - 0.545) / 0.665 * 4095 / 3.3)
        micro = int(_float(words[8]))
        if not all(0 <= code <= 4095 for code in codes) or micro < 1:
            self.harm.append(f"WEIGHTMODIF with codes {codes} for {micro} us")
            return b""
        self.rows[row], self.column = codes
        volts = np.zeros(2 * LINES)
        volts[row] = codes[0] * 1.5 / 4096 - 0.75
        volts[LINES + column] = 0.545 + 0.665 * 3.3 * codes[1] / 4095 - 0.75
        driven = np.append(np.arange(LINES) == row, np.ones(LINES, dtype=np.bool_))
        self._drive(volts, driven, 1e-6 * micro, count, Purpose.PROGRAM)
        self.seconds += 15e-3 + 2e-6 * micro * count
        return b""

    def _drive(
        self, volts: Floats, driven: Bools, seconds: float, count: int, purpose: Purpose
    ) -> Floats | None:
        """[A], shape (lines,), at the end of it; None where the devices would not bear it."""
        edge = min(_EDGE, seconds / 100)
        corners = np.array([0.0, edge, seconds - edge, seconds])
        wave = np.outer([0.0, 1.0, 1.0, 0.0], volts * driven)
        most = self.board.spec.sites[0].limits.seconds
        try:
            amps = np.zeros(2 * LINES)
            for part in range(max(1, int(np.ceil(seconds / most)))):
                left = min(most, seconds - part * most)
                scaled = corners * (left / seconds)
                (trace,) = self.board.apply([Pulse(scaled, wave, driven, purpose, count)])
                amps = trace.amps[trace.seconds.argmax()]
        except Refused as error:
            self.harm.append(error.wrong)
            return None
        return amps


def emulated(table: dict[str, object] | None = None) -> OpenMena:
    """A board with these settings, as a file would give them."""
    return OpenMena(build(table or {}, OpenMenaSettings, "openmena"))


def _warm_up(devices: SimulatedSettings) -> None:
    """Kernels are compiled when they are first used: not while somebody waits for an answer."""
    with CompactBoard(devices.model_copy(update={"memory": None})) as board:
        once = read_row(board.spec, 0, 1e-3, 1e-3)
        board.apply([once, once.repeated(2)])


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8")


def _int(word: str) -> int:
    """As Arduino's toInt: what is no number is 0."""
    return int(_float(word))


def _float(word: str) -> float:
    found = _NUMBER.match(word)
    return float(np.float32(found.group())) if found else 0.0
