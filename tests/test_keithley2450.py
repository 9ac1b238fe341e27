"""The Keithley 2450: its words on the wire, its trigger model, its source list."""

import re
from pathlib import Path

import numpy as np
import pytest

import drivers.keithley2450 as module
from drivers.keithley2450 import Keithley2450, Keithley2450Language
from labctl.errors import BoardFault
from tests.source_meters import (
    TRANSCRIPTS,
    built,
    lines,
    reading,
    recorded,
    resistor,
    rig,
    session,
    writing,
)

NAME = "keithley2450"

pytestmark = pytest.mark.usefixtures("_locks")


@pytest.fixture
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SHARED", str(tmp_path / "shared"))


def test_a_session_is_byte_for_byte_the_one_that_was_agreed(tmp_path: Path) -> None:
    recorded(NAME, tmp_path / "now.txt")
    assert lines(tmp_path / "now.txt") == lines(TRANSCRIPTS / f"{NAME}.txt")


def test_the_agreed_session_replays(tmp_path: Path) -> None:
    told = recorded(NAME, tmp_path / "now.txt")
    replayed = session(built(Keithley2450, f"replay:{TRANSCRIPTS / NAME}.txt"), lambda: None)
    assert len(replayed) == len(told) > 5
    for one, other in zip(told, replayed, strict=True):
        assert np.array_equal(one.amps, other.amps)


def test_what_is_said_is_what_the_table_of_the_driver_has() -> None:
    """The headers of a session, in the order of the module's own table."""
    language = Keithley2450Language
    told = " ".join(
        [
            str(module.__doc__),
            *language.WORDS,
            *map(str, vars(language).values()),
            TABLE,
            *module.TRIGGER_MODEL,
        ]
    )
    for line in lines(TRANSCRIPTS / f"{NAME}.txt"):
        if line.startswith("> "):
            for command in re.split(r";(?=[:*])", line[2:]):
                header = command.partition(" ")[0].removesuffix("?")
                assert header in told, header


TABLE = ":SYST:LFR :SENS:FUNC :ROUT:TERM :SOUR:VOLT :SYST:ERR *WAI :SOUR:LIST:VOLT"


def test_long_lists_are_appended_a_hundred_at_a_time() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        volts = [0.02 + 0.0001 * index for index in range(150)]
        traces = board.apply([reading(board, level) for level in volts])
        lists = [part for message in found.heard for part in message.split(";") if ":SOUR:LIST:VOLT" in part]
    assert max(part.count(",") + 1 for part in lists) == 100
    assert [float(trace.volts[0, 0]) for trace in traces] == pytest.approx(volts, abs=1e-5)


def test_volts_are_measured_and_not_believed() -> None:
    with rig(NAME, resistor(20e3), compliance="1 uA") as found, found.board as board:
        (trace,) = board.apply([reading(board, 0.1)])
    assert float(trace.volts[0, 0]) == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("language", ["TSP", "SCPI2400"])
def test_in_another_language_nothing_is_said_to_it(language: str) -> None:
    with rig(NAME) as found:
        receive = found.instrument.receive
        found.instrument.receive = lambda message: (
            f"{language}\n".encode() if message == b"*LANG?" else receive(message)
        )
        with pytest.raises(BoardFault, match=language) as fault:
            found.board.__enter__()
    assert fault.value.allowed == "SCPI"
    assert "*RST" not in found.heard


def test_rear_terminals_are_chosen_and_read_back() -> None:
    with rig(NAME, resistor(20e3), terminals="rear") as found, found.board:
        assert found.instrument.terminals == "REAR"


def test_the_output_stays_on_between_levels_of_a_list() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([writing(board, 0.5)])
        assert found.instrument.smu.output
        assert not any("SOUR:STAT" in message for message in found.heard)
