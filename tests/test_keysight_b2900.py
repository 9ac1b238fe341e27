"""The Keysight B2900: its words on the wire, its timer, its two trains of triggers."""

import re
from pathlib import Path

import numpy as np
import pytest

import drivers.keysight_b2900 as module
from drivers.keysight_b2900 import KeysightB2900, KeysightB2900Language
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

NAME = "keysight_b2900"

pytestmark = pytest.mark.usefixtures("_locks")


@pytest.fixture
def _locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SHARED", str(tmp_path / "shared"))


def test_a_session_is_byte_for_byte_the_one_that_was_agreed(tmp_path: Path) -> None:
    recorded(NAME, tmp_path / "now.txt")
    assert lines(tmp_path / "now.txt") == lines(TRANSCRIPTS / f"{NAME}.txt")


def test_the_agreed_session_replays(tmp_path: Path) -> None:
    told = recorded(NAME, tmp_path / "now.txt")
    replayed = session(built(KeysightB2900, f"replay:{TRANSCRIPTS / NAME}.txt"), lambda: None)
    assert len(replayed) == len(told) > 5
    for one, other in zip(told, replayed, strict=True):
        assert np.array_equal(one.amps, other.amps)


def test_what_is_said_is_what_the_table_of_the_driver_has() -> None:
    """The headers of a session, in the order of the module's own table."""
    language = KeysightB2900Language
    told = " ".join([str(module.__doc__), *language.WORDS, *map(str, vars(language).values()), TABLE])
    for line in lines(TRANSCRIPTS / f"{NAME}.txt"):
        if line.startswith("> "):
            for command in re.split(r";(?=[:*])", line[2:]):
                header = command.partition(" ")[0].removesuffix("?")
                assert header in told, header


TABLE = ":SYST:LFR :SENS1:FUNC :SOUR1:VOLT :SYST:ERR *WAI :TRIG1:TRAN:COUN :TRIG1:ACQ:COUN :STAT:OPER:COND"


def test_a_run_does_not_switch_on_what_somebody_switched_off() -> None:
    assert "> :OUTP1:ON:AUTO OFF" in lines(TRANSCRIPTS / f"{NAME}.txt")


def test_levels_last_as_long_as_the_timer_says() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        pulses = [writing(board, 0.5, 0.1), *(reading(board, 0.1, 20e-3) for _ in range(50))]
        board.apply(pulses)
        before = found.instrument.clock.seconds
        traces = board.apply(pulses)
        took = found.instrument.clock.seconds - before
    booked = sum(float(trace.seconds.sum()) + trace.settle_seconds for trace in traces)
    assert booked == pytest.approx(took, rel=0.02)


def test_a_long_list_is_one_run() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.05)])
        before = len(found.heard)
        board.apply([reading(board, 0.02 + 1e-5 * index) for index in range(1000)])
        runs = [message for message in found.heard[before:] if ":INIT" in message]
    assert len(runs) == 1


def test_the_interlock_is_named_where_it_is_the_reason() -> None:
    with rig(NAME, resistor(20e3)) as found, found.board as board:
        board.apply([reading(board, 0.05)])
        found.instrument.smu.output = False
        found.instrument.smu.interlock_closed = False
        with pytest.raises(BoardFault, match="interlock is open"):
            board.apply([writing(board, 0.05)])
