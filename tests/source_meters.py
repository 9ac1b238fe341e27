"""Source-measure units on a bench that is not there: each emulated, with a device or a resistor behind it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from drivers.keithley2400 import Keithley2400
from drivers.keithley2450 import Keithley2450
from drivers.keysight_b2900 import KeysightB2900
from drivers.source_meters.board import SourceMeterBoard
from labctl.addressing import select
from labctl.board import Board
from labctl.config import build
from labctl.errors import BoardFault
from labctl.pulse import Pulse, Purpose, Trace
from labctl.shapes import square
from sim_backend.emulators import keithley2400, keithley2450, keysight_b2900
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.serving.server import on_pty, on_tcp
from sim_backend.settings import SimulatedSettings

KINDS: dict[str, tuple[type[SourceMeterBoard], Any]] = {
    "keithley2400": (Keithley2400, keithley2400.Keithley2400),
    "keithley2450": (Keithley2450, keithley2450.Keithley2450),
    "keysight_b2900": (KeysightB2900, keysight_b2900.KeysightB2900),
}
"""By name, the driver and the emulator."""
DEVICE = {"layout": "selector", "columns": 1, "dopant": "Sn", "series": "10 kohm", "switch": "1 ohm"}
"""Sn: the one that reads of some milliseconds leave as it is, whatever its state."""
BENCH = {"dopant": "Sn", "series": "10 kohm", "switch_resistance": "1 ohm", "deadline": "1 s"}


class Rig(NamedTuple):
    """An emulator on a link, and the driver that speaks to it."""

    board: SourceMeterBoard
    instrument: Any
    address: str
    heard: list[str]
    """Messages that the instrument got, in order."""

    def another(self, **settings: Any) -> SourceMeterBoard:
        """A second driver of the same instrument."""
        return built(type(self.board), self.address, **settings)


def built(kind: type[SourceMeterBoard], address: str, **settings: Any) -> SourceMeterBoard:
    """A board with the settings of `BENCH`, and others."""
    return kind(build(BENCH | settings | {"address": address}, kind.Settings, "test"))


def device(**settings: Any) -> Terminals:
    """A simulated device behind its series resistor."""
    return Terminals(build(DEVICE | settings, SimulatedSettings, "test"))


def resistor(ohms: float, series: float = 10e3) -> Terminals:
    """A plain resistor in place of the device."""
    return Terminals(Resistors((ohms,), series))


@contextmanager
def rig(
    name: str,
    behind: Terminals | None = None,
    *,
    link: str = "tcp",
    faults: str | None = None,
    **settings: Any,
) -> Iterator[Rig]:
    """One instrument of `KINDS` on a loopback socket or a pseudo-terminal."""
    driver, emulator = KINDS[name]
    instrument = emulator(behind or device())
    heard = list[str]()
    receive = instrument.receive

    def listen(message: bytes) -> bytes:
        heard.append(message.decode("latin-1"))
        return receive(message)

    instrument.receive = listen
    with (on_tcp if link == "tcp" else on_pty)(instrument, faults) as address:
        yield Rig(built(driver, address, **settings), instrument, address, heard)


def meddle(instrument: Any, change: Callable[[str], str | None]) -> None:
    """From now on the instrument gets what `change` makes of each message; None: it does not get it."""
    receive = instrument.receive

    def other(message: bytes) -> bytes:
        found = change(message.decode("latin-1"))
        return b"" if found is None else receive(found.encode("latin-1"))

    instrument.receive = other


def reading(board: Board, volts: float = 0.05, seconds: float = 10e-3) -> Pulse:
    """A read of the first site."""
    return select(board.spec, 0, square(volts, seconds, min(seconds / 200, 1e-4)), Purpose.READ)


def writing(board: Board, volts: float = 1.0, seconds: float = 50e-3) -> Pulse:
    """A pulse that writes the first site."""
    return select(board.spec, 0, square(volts, seconds, min(seconds / 200, 1e-4)), Purpose.PROGRAM)


# ---- transcripts ------------------------------------------------------------------------------

TRANSCRIPTS = Path(__file__).parent / "transcripts"
"""Sessions as text, one a kind: `python -m tests.source_meters` writes those of this file anew."""


def session(board: SourceMeterBoard, spoil: Callable[[], None]) -> list[Trace]:
    """Open, read, read a list, write, find an error, go off: what a transcript has."""
    with board:
        traces = board.apply([reading(board, 0.1)])
        traces += board.apply([reading(board, volts) for volts in (0.025, 0.05, -0.05)])
        traces += board.apply([writing(board, 0.5, 20e-3)])
        spoil()
        try:
            board.apply([writing(board, 0.25, 20e-3)])
        except BoardFault as fault:
            traces += fault.traces
    return traces


def recorded(name: str, file: Path) -> list[Trace]:
    """A session with a fresh emulator and 20 kohm behind it, recorded."""
    with rig(name, resistor(20e3), record=str(file)) as found:
        return session(found.board, lambda: found.instrument.errors.append((-113, "Undefined header")))


def lines(file: Path) -> list[str]:
    """A transcript without its first line, which has an address and a date."""
    return file.read_text(encoding="ascii").splitlines()[1:]


if __name__ == "__main__":
    for kind in KINDS:
        (TRANSCRIPTS / f"{kind}.txt").unlink(missing_ok=True)
        recorded(kind, TRANSCRIPTS / f"{kind}.txt")
