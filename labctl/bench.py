"""Bench files: which board, with what settings, and what stands around it.

A bench file names a board by import path, so there is no registry, and a stranger's driver is used
as ours are::

    class = "sim_backend.compact:CompactBoard"
    kind = "sim"

    [board]                      # read by the Settings of that class
    layout = "network"
    memory = "{run}/chip.state"  # {run} is the folder of the run that uses the board

    [guard]                      # of a board or emulator: its process of its own (labctl.guard)
    lease = "1 s"

`kind` keeps four words apart: a *board* is there; a *sim* is physics that is not; an *emulator* is an
instrument's protocol with a simulated device behind it; a *replay* is a recording.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field

from labctl.board import Board
from labctl.config import Joules, PositiveSeconds, Quantity, Section, Watts, read_toml
from labctl.energy import Tariff
from labctl.errors import BadConfig
from labctl.guard import Guarded, Guarding
from labctl.guard.client import IDLE_SECONDS, LEASE_SECONDS
from labctl.making import EMULATED, REPLAY, Wired, board_class, board_of
from labctl.quantity import quoted

RUN = "{run}"
"""Stands for the run's folder in the text values of `[board]`."""
_HERE = re.compile(
    r"(tcp|https?)://(127\.|localhost[:/]|\[::1\])|serial:///dev/(pts/|ttys)[0-9]|TCPIP[0-9]*::127\.|ASRL/dev/pts/"
)
"""Where an emulator may be: on this machine alone, or on a pseudo-terminal of it."""


class TariffTable(Section):
    """What the electronics around the array are said to take."""

    name: str = "none"
    power: Watts = 0.0
    energy_per_pulse: Joules = 0.0


class GuardTable(Section):
    """The process of its own that a board lives in."""

    enabled: bool | None = None
    """Else: where something is driven that outlives this program, so a board or an emulator."""
    lease: Annotated[float, Quantity("s", least=0.05)] = LEASE_SECONDS
    """[s] that this program may be unheard of before the outputs are switched off."""
    idle: PositiveSeconds = IDLE_SECONDS
    """[s] without a request, after which they are switched off until the next."""


def _day(found: object) -> str:
    """TOML has dates, the JSON of a run folder has text."""
    try:
        return (date.fromisoformat(found) if isinstance(found, str) else cast("date", found)).isoformat()
    except (ValueError, AttributeError):
        raise ValueError("no date; allowed: one as 2026-10-01") from None


def _days(found: str) -> str:
    if not re.fullmatch(r"[0-9]{1,4} days?", found):
        raise ValueError('no number of days; allowed: "180 days"')
    return found


class CalibrationTable(Section):
    """When somebody last compared what the bench measures with what is known."""

    date: Annotated[str, BeforeValidator(_day)]
    note: str = ""
    """With what, and by whom."""
    older_than: Annotated[str, AfterValidator(_days)] = "365 days"
    """`labctl doctor` warns of one that is older, and nothing is trained on it."""


def days_since(calibration: CalibrationTable, today: date) -> int:
    """Since the bench was calibrated; below 0 where that is still to come."""
    return (today - date.fromisoformat(calibration.date)).days


def too_old(calibration: CalibrationTable, today: date) -> bool:
    """Whether it is older than its bench file allows."""
    return days_since(calibration, today) > int(calibration.older_than.split()[0])


class BenchFile(Section):
    """A bench file, as it was written."""

    board_class: str = Field(alias="class")
    kind: Literal["board", "sim", "emulator", "replay"]
    stand_in: str | None = None
    """Bench file of a simulated board that dry runs use in this one's place."""
    board: dict[str, Any] = Field(default_factory=dict)
    tariff: TariffTable = TariffTable()
    guard: GuardTable = GuardTable()
    calibration: CalibrationTable | None = None

    @property
    def guarded(self) -> bool:
        """Whether the board lives in a process of its own."""
        told = self.guard.enabled
        return self.kind in ("board", "emulator") if told is None else told


class Bench:
    """A bench file that has been read and whose board can be made."""

    def __init__(self, file: BenchFile, source: str, folder: Path) -> None:
        self.file = file
        self.source = source
        self._folder = folder
        self._class = board_class(file.board_class, source)

    @classmethod
    def read(cls, path: Path) -> Bench:
        """The bench in this file. Raises `BadConfig` or `Unavailable`; nothing is opened."""
        bench = cls(read_toml(path, BenchFile), str(path), path.parent)
        bench.board(Path())  # settings that are wrong are told now, not when the run has begun
        return bench

    @property
    def name(self) -> str:
        """What to call it: the file's name without its ending."""
        return Path(self.source).stem

    @property
    def tariff(self) -> Tariff:
        """The periphery's tariff."""
        return tariff_of(self.file)

    def board(self, run: Path) -> Board:
        """A new board, not open yet, for a run in this folder."""
        table = self._table(run)
        source, guard = f"{self.source} [board]", self.file.guard
        board = self.unguarded(run)  # in a guard, too: mistakes are told here
        if not self.file.guarded:
            return board
        where = str(Path(self.source).resolve())
        return Guarded(board, Guarding(self.file.board_class, table, source, where, guard.lease, guard.idle))

    def unguarded(self, run: Path) -> Board:
        """A new board in this process: for what drives nothing."""
        board = board_of(self._class, self._table(run), f"{self.source} [board]")
        if isinstance(board, Wired):
            _refuse_other_kind(self.file.kind, board.addresses(), self.source)
        return board

    def _table(self, run: Path) -> dict[str, Any]:
        return {key: _placed(value, run) for key, value in self.file.board.items()}

    def with_board(self, **settings: object) -> Bench:
        """The same bench with other settings of its board, as its file would give them."""
        board = {**self.file.board, **settings}
        return Bench(self.file.model_copy(update={"board": board}), self.source, self._folder)

    def for_dry_runs(self) -> Bench:
        """The bench that stands in for this one where nothing real may be driven."""
        if self.file.stand_in is not None:
            return Bench.read(self._folder / self.file.stand_in)
        if self.file.kind == "sim":
            return self
        raise BadConfig(
            f"{self.source} is no simulation and names none",
            allowed='stand_in = "the bench file of a simulated board"',
            todo="add it: a dry run drives nothing real",
        )


def _refuse_other_kind(kind: str, addresses: Sequence[str], source: str) -> None:
    """A real instrument by another name would be driven by dry runs, without a guard, or unasked."""
    for address in addresses:
        replayed, emulated = address.startswith(REPLAY), address.startswith(EMULATED)
        fits = {
            "board": not (replayed or emulated),
            "emulator": emulated or _HERE.match(address) is not None,
            "replay": replayed,
        }
        if not fits.get(kind, False):
            raise BadConfig(
                f'{source}: kind = "{kind}", and its board speaks to {quoted(address)}',
                allowed="board: what is there; emulator: on this machine, as `labctl emulate` starts one;"
                " replay: replay:FILE; sim: nothing",
            )


def tariff_of(file: BenchFile) -> Tariff:
    """The periphery's tariff that a bench file states; the board's class need not be there for it."""
    return Tariff(file.tariff.name, file.tariff.power, file.tariff.energy_per_pulse)


def _placed(value: Any, run: Path) -> Any:
    """Text with the run's folder in it, in tables and arrays too: a board may be made of others."""
    match value:
        case str():
            return value.replace(RUN, str(run))
        case dict():
            table = cast("dict[str, Any]", value)
            return {key: _placed(one, run) for key, one in table.items()}
        case tuple():
            return tuple(_placed(one, run) for one in cast("tuple[Any, ...]", value))
        case _:
            return value
