"""The Keithley 2450: its words on the wire, its trigger model, its source list."""

import pytest

from labctl.errors import BoardFault
from tests.source_meters import (
    reading,
    resistor,
    rig,
    writing,
)

NAME = "keithley2450"


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
