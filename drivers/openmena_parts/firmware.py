"""The firmware of an OpenMENA board: its three commands, its codes and its replies. No physics, no limits.

Follows `memristor_rev.ino` of github.com/ali20480/OpenMENA (read as facts; arXiv:2511.03747) for an Arduino
Due at 115,200 baud. Commands are lines of text; the firmware does one after the other and hears nothing
meanwhile. It has no identity, no checksum and no error queue, and a pulse train is answered by nothing: so
every train is followed by ``SETVOLTAGES``, which puts all outputs to virtual ground and echoes what it was
told. A digit that is lost inside a number cannot be seen; a lost field, a strange byte or a missing line is.

Voltages go down as text and become codes by truncation, so what is sent is the middle of the code that is
meant. Tried on emulators only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from labctl.errors import BoardFault, BoardHung, Refused
from labctl.pulse import Floats
from labctl.quantity import quoted

if TYPE_CHECKING:
    from drivers.links.transport import Transport

LINES = 8
"""Rows, and columns."""
ON_SECONDS, OFF_SECONDS, AVERAGES = 45e-3, 5e-3, 20
"""A look: switches closed for 5 ms and eight conversions of 5 ms, open for 5 ms, twenty times."""
LOOK_SECONDS = ON_SECONDS * AVERAGES
"""[s] that one look drives its voltages."""
SETTLE_SECONDS = 9 * 5e-3 + AVERAGES * OFF_SECONDS
"""[s] of one look in which its switches are open."""
MOST_LOOKS = 8
"""In one command [ours]: each takes a second in which nothing else is heard."""
MOST_TRAIN_SECONDS = 5.0
"""[s] that one train may last [ours]: nothing switches it off before it ends."""

ROW_REFERENCE, ROW_CODES = 1.5, 4096
"""[V] and codes of the AD5593R that drives the rows (its data sheet: D / 4096 of the reference)."""
_ROW_SCALE = 4095 / ROW_REFERENCE
"""The firmware's own, a little off."""
_COLUMN_LOW, _COLUMN_GAIN, _DUE_VOLTS, _DUE_SCALE = 0.545, 0.665, 3.3, 4095
"""The firmware's own calibration of the Due's converter and what stands behind it."""
ADC_VOLTS, ADC_CODES = 3.3, 4095

_REPLY_SECONDS = 3.0
_MOST_GREETING = 64
"""Lines that may come before the first answer: what the board says when it starts."""
_MOST_LINE = 1024
_ROW_OF_LOOKS = re.compile(r"(?:[0-9]{1,4}\.[0-9]{2}[\t ]*){8}", re.ASCII)
_VOLTS = re.compile(r"(?:AD5593R DAC([0-7])|Due DAC1): (-?[0-9]{1,3}\.[0-9]{3}) V", re.ASCII)


@dataclass(frozen=True, slots=True)
class Codes:
    """Volts against virtual ground, in codes and back."""

    virtual_ground: float
    """[V] against the board's ground."""

    def row(self, volts: float) -> int:
        """The nearest code; `Refused` where there is none."""
        code = round((self.virtual_ground + volts) * ROW_CODES / ROW_REFERENCE)
        if not 0 <= code < ROW_CODES:
            raise Refused(
                f"{volts:.6g} V on a row",
                allowed=f"{self.row_volts(0):.4g} V to {self.row_volts(ROW_CODES - 1):.4g} V",
            )
        return code

    def row_volts(self, code: int) -> float:
        """[V] against virtual ground."""
        return code * ROW_REFERENCE / ROW_CODES - self.virtual_ground

    def column(self, volts: float) -> int:
        """The nearest code; `Refused` where there is none."""
        code = round((self.virtual_ground + volts - _COLUMN_LOW) / _COLUMN_GAIN / _DUE_VOLTS * _DUE_SCALE)
        if not 0 <= code <= _DUE_SCALE:
            raise Refused(
                f"{volts:.6g} V on a column",
                allowed=f"{self.column_volts(0):.4g} V to {self.column_volts(_DUE_SCALE):.4g} V",
            )
        return code

    def column_volts(self, code: int) -> float:
        """[V] against virtual ground."""
        return _COLUMN_LOW + _COLUMN_GAIN * _DUE_VOLTS * code / _DUE_SCALE - self.virtual_ground


def row_text(code: int) -> str:
    """What the firmware truncates to this code."""
    return f"{(code + 0.5) / _ROW_SCALE:.4f}"


def column_text(code: int) -> str:
    """What the firmware truncates to this code."""
    return f"{_COLUMN_LOW + _COLUMN_GAIN * _DUE_VOLTS * (code + 0.5) / _DUE_SCALE:.4f}"


class Firmware:
    """The commands, on a link. Whatever goes wrong, the link is closed: half a reply may be on its way."""

    def __init__(self, link: Transport, codes: Codes) -> None:
        self._link = link
        self._codes = codes
        self._greeted = False

    def close(self) -> None:
        """Give the link back."""
        self._greeted = False
        self._link.close()

    def rest(self, seconds: float = 0.0) -> None:
        """All outputs to virtual ground, confirmed by their echo; `seconds`: what runs before that."""
        rows = [row_text(self._codes.row(0.0))] * LINES
        column = self._codes.column(0.0)
        line = f"SETVOLTAGES: {' '.join(rows)} {column_text(column)}\n"
        wanted = [float(text) for text in rows] + [_DUE_VOLTS * (column + 0.5) / _DUE_SCALE]
        try:
            first = self._begun(line) if not self._greeted else self._ask(line, _REPLY_SECONDS + seconds)
            _expect(first, "Voltages updated:")
            echo = _volts(self._line())
            if not all(abs(one - other) <= 1.1e-3 for one, other in zip(echo, wanted, strict=True)):
                raise BoardFault(f"OpenMENA set {echo} V, not {wanted} V", todo=_LISTEN)
        except BaseException:
            self.close()
            raise
        self._greeted = True

    def look(self, vectors: Sequence[Sequence[int]]) -> Floats:
        """ADC codes of the columns, shape (looks, 8), for these codes of the rows (looks, 8)."""
        self._greet()
        numbers = " ".join(str(code) for vector in vectors for code in vector)
        seconds = _REPLY_SECONDS + len(vectors) * (LOOK_SECONDS + SETTLE_SECONDS)
        try:
            first = self._ask(f"INFEREMULTIPLE: {len(vectors)} {numbers}\n", seconds)
            _expect(first, f"Running inference for {len(vectors)} input vectors...")
            _expect(self._line(seconds), "INFEREMULTIPLE ADC Averages:")
            rows = [_averages(self._line()) for _ in vectors]
            _expect(self._line(), "INFEREMULTIPLE complete.")
        except BaseException:
            self.close()
            raise
        return np.array(rows)

    def train(self, row: int, column: int, codes: tuple[int, int], micro: int, pulses: int) -> None:
        """Pulses on one site: its row and its column at these codes, `micro` [us] on and as long off."""
        self._greet()
        volts = f"{row_text(codes[0])} {column_text(codes[1])}"
        sign = 1 if self._codes.row_volts(codes[0]) >= self._codes.column_volts(codes[1]) else -1
        try:
            self._link.write(
                f"WEIGHTMODIF: {row} {column} {sign} {pulses} {volts} {volts} {micro}\n".encode("ascii")
            )
        except BaseException:
            self.close()
            raise
        self.rest(2e-6 * micro * pulses)

    def _greet(self) -> None:
        if not self._greeted:
            self.rest()

    def _begun(self, line: str) -> str:
        """The first answer on a fresh link: opening it may have restarted the board, which greets."""
        said = self._ask(line, _REPLY_SECONDS)
        for _ in range(_MOST_GREETING):
            if said == "Voltages updated:":
                return said
            try:
                following = self._line()
            except BoardHung:
                break
            said = following
        raise BoardFault(
            f"what is connected to {self._link.address} does not answer as OpenMENA does, but {quoted(said)}",
            todo="check the address, and that the board runs memristor_rev.ino at 115,200 baud",
        )

    def _ask(self, line: str, seconds: float) -> str:
        return _text(self._link.ask(line.encode("ascii"), seconds=seconds, most=_MOST_LINE))

    def _line(self, seconds: float = _REPLY_SECONDS) -> str:
        return _text(self._link.read(seconds=seconds, most=_MOST_LINE))


_LISTEN = "read the sites again: a byte may have been lost on the way"


def _text(reply: bytes) -> str:
    try:
        return reply.decode("ascii").strip()
    except UnicodeDecodeError:
        shown = quoted(reply[:40].decode("latin-1"))
        raise BoardFault(f"OpenMENA answered what is no text: {shown}", todo=_LISTEN) from None


def _expect(line: str, wanted: str) -> None:
    if line != wanted:
        raise BoardFault(f"OpenMENA answered {quoted(line)} in place of {quoted(wanted)}", todo=_LISTEN)


def _averages(line: str) -> list[float]:
    found = [float(field) for field in line.split()] if _ROW_OF_LOOKS.fullmatch(line) else []
    if not (len(found) == LINES and all(0 <= code <= ADC_CODES for code in found)):
        raise BoardFault(
            f"OpenMENA answered {quoted(line)} in place of eight averages from 0 to {ADC_CODES}", todo=_LISTEN
        )
    return found


def _volts(line: str) -> list[float]:
    found = _VOLTS.findall(line)
    if [name for name, _ in found] != [*"01234567", ""]:
        raise BoardFault(f"OpenMENA answered {quoted(line)} in place of nine voltages", todo=_LISTEN)
    return [float(number) for _, number in found]
