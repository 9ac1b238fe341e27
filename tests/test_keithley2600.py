"""The Keithley 2600B: its driver over its emulator, byte by byte, and every law and fault that it meets."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.keithley2600 import Keithley2600, Keithley2600Of40Volts, Keithley2600Settings
from drivers.source_meters.source_meter import Setup
from drivers.source_meters.tsp_meter import TspSourceMeter
from labctl.config import build
from labctl.contract import LAWS, PROGRAMMING_LAWS
from labctl.contract.probe import DoesNotApply, Law
from labctl.errors import BoardFault, BoardGone, BoardHung, LabError, LimitExceeded, Misbehaved, Outputs
from labctl.pulse import Flag
from labctl.reading import conductance
from sim_backend.emulators.keithley2600 import Keithley2600 as Emulator
from sim_backend.emulators.serving.witness import Witness
from tests import source_meters
from tests.source_meters import Rig, device, reading, resistor, rig, writing

TRANSCRIPT = Path(__file__).with_name("transcripts") / "keithley2600.txt"
ALL = (*LAWS, *PROGRAMMING_LAWS)
PASSED_OVER = {
    "charge_is_conserved",
    "neurons_sum_and_saturate",
    "patterns_are_answered_one_by_one",
    "too_many_amps_are_refused",
    "neighbours_are_left_alone",
}


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """What numba compiles is compiled before somebody waits for it with a deadline."""
    device().hold(0.1, 1e-3)
    device().hold(0.1, 1e-3, 1e-9)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(source_meters.KINDS, "keithley2600", (Keithley2600, Emulator))


def bench(behind: Any = None, **more: Any) -> AbstractContextManager[Rig]:
    """A 2635B on a socket, with a resistor of 10 kohm, or what is given, behind another of 10 kohm."""
    return rig("keithley2600", behind or resistor(10e3), **more)


@pytest.fixture
def found() -> Iterator[Rig]:
    with bench() as rig:
        yield rig


# ---- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ALL, ids=lambda law: law.__name__)
@pytest.mark.parametrize("link", ["tcp", "pty"])
def test_it_keeps_every_law(link: str, law: Law) -> None:
    with bench(device(), link=link) as found:
        if law.__name__ in PASSED_OVER:
            with pytest.raises(DoesNotApply):
                law(found.board)
        else:
            law(found.board)
        assert not found.instrument.smu.output
        assert not found.instrument.errors


# ---- bytes ---------------------------------------------------------------------------------------


def session(board: Keithley2600) -> None:
    """Open, read, program, a list, an error, off."""
    with board:
        board.apply([reading(board)])
        board.apply([writing(board, 0.5, 20e-3)])
        board.apply([reading(board, seconds=5e-3), writing(board, -0.5, 20e-3), reading(board, 0.1)])
        board._meter._tsp.tell("smua.source.levelv = 300")
        with pytest.raises(BoardFault, match="1101 Parameter out of range"):
            board._meter.check("a level")


BENCH = {"compliance": "100 nA", "limits": {"low": "-1 V", "high": "1 V"}}


def record(file: Path) -> None:
    """A new transcript of a session with an emulator."""
    with rig("keithley2600", resistor(1e9), record=str(file), **BENCH) as found:
        session(found.board)


def test_every_byte_is_as_it_was_recorded(tmp_path: Path) -> None:
    session(source_meters.built(Keithley2600, f"replay:{TRANSCRIPT}", **BENCH))
    record(tmp_path / "new.txt")
    assert (tmp_path / "new.txt").read_text().partition("\n")[2] == TRANSCRIPT.read_text().partition("\n")[2]


COMMANDS = {
    "open": ["*IDN?", "print(smua.source.output)", "smua.reset()", "smua.source.func = smua.OUTPUT_DCVOLTS"],
    "off state": [
        "smua.source.offmode = smua.OUTPUT_HIGH_Z",
        "print(smua.source.offmode == smua.OUTPUT_HIGH_Z)",
    ],
    "compliance": ["smua.source.limiti = 1e-07", "print(smua.source.limiti)"],
    "compliance of sweeps": ["smua.trigger.source.limiti = 1e-07", "print(smua.trigger.source.limiti)"],
    "ranges": ["smua.source.rangev = 0.2", "print(smua.source.rangev)", "smua.measure.rangei = 1e-07"],
    "timing": [
        "trigger.timer[1].passthrough = true",
        "trigger.timer[1].stimulus = smua.trigger.ARMED_EVENT_ID",
    ],
    "level": ["smua.source.levelv = 0.0", "print(smua.source.levelv)", "smua.source.rangev = 0.2"],
    "on": ["smua.source.output = smua.OUTPUT_ON", "print(smua.source.output)"],
    "run": [
        "smua.nvbuffer1.clear() smua.nvbuffer2.clear() print(smua.nvbuffer1.n, smua.nvbuffer2.n)",
        "print(status.operation.sweeping.condition, smua.nvbuffer1.n, smua.nvbuffer2.n)",
        "print(smua.source.output, errorqueue.count)",
    ],
    "errors": ["print(errorqueue.count)", "print(errorqueue.next())"],
    "off": ["abort", "smua.abort()", "smua.source.output = smua.OUTPUT_OFF", "print(smua.source.output)"],
}


@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
def test_the_commands_are_those_of_the_manual(commands: list[str]) -> None:
    sent = [line[2:] for line in TRANSCRIPT.read_text().splitlines() if line.startswith("> ")]
    rest = iter(sent)
    assert all(command in rest for command in commands), "in this order"


def test_a_read_is_one_message_and_its_answer() -> None:
    sent = [line[2:] for line in TRANSCRIPT.read_text().splitlines() if line.startswith("> ")]
    (read, *_) = [line for line in sent if "waitcomplete()" in line]
    assert read.startswith("smua.nvbuffer1.clear() smua.nvbuffer2.clear() labctl_smua = {0.05, 0.0} ")
    assert read.endswith(
        "smua.trigger.initiate() waitcomplete() printbuffer(1, 2, smua.nvbuffer2, smua.nvbuffer1, "
        "smua.nvbuffer1.timestamps, smua.nvbuffer1.statuses)"
    )
    assert sent[sent.index(read) + 1] == "print(smua.source.output, errorqueue.count)"


def test_a_run_that_writes_is_five_messages(found: Rig) -> None:
    with found.board as board:
        board.apply([writing(board, 0.5, 20e-3)])
        found.heard.clear()
        board.apply([writing(board, 0.4, 20e-3), writing(board, 0.3, 20e-3)])
        assert len(found.heard) == 5 + 1  # its list is two


def test_a_level_that_was_left_is_nothing_before_ranges_change(found: Rig) -> None:
    with found.board as board:
        meter = driving(board)
        found.instrument.receive(b"smua.source.levelv = 0.5")
        meter.arrange(Setup(0.2, 1e-3, 1e-2))
        assert found.instrument.smu.level("volts") == 0.0
        found.instrument.receive(b"smua.source.levelv = 0.1")
        source_meters.meddle(found.instrument, lambda message: None if "levelv = 0" in message else message)
        with pytest.raises(BoardFault, match="levelv"):
            meter.arrange(Setup(2.0, 1e-3, 1e-2))


def test_off_is_written_and_waits_for_nothing(found: Rig) -> None:
    with found.board:
        found.board.apply([reading(found.board)])
        found.heard.clear()
        found.board._meter.off()
        assert found.board._meter.is_off()
    off = ["abort", "smua.abort()", "smua.source.output = smua.OUTPUT_OFF", "print(smua.source.output)"]
    assert found.heard[:4] == off


def test_the_other_channel_is_left_alone() -> None:
    with bench(channel="b") as found:
        with pytest.raises(Misbehaved):
            found.board.__enter__()  # a 2635B has no second channel
        assert not [message for message in found.heard if "smua" in message]


def driving(board: Keithley2600) -> TspSourceMeter:
    """Its language, with the output on in ranges of 2 V and 1 mA."""
    meter = board._meter
    meter.arrange(Setup(2.0, 1e-3, 1e-2))
    meter.switch_on()
    return meter


# ---- what it does --------------------------------------------------------------------------------


def test_a_resistor_reads_as_what_it_is(found: Rig) -> None:
    board = found.board
    with board:
        for volts in (0.02, -0.1, 0.4, -1.5):
            pulse = reading(board, volts)
            (trace,) = board.apply([pulse])
            assert conductance(board.spec, pulse, trace, 0) == pytest.approx(1e-4, rel=0.01)


def test_levels_are_timed_by_the_instrument_as_asked(found: Rig) -> None:
    with found.board as board:
        meter = driving(board)
        for seconds in (1e-3, 7.3e-3, 0.25):
            readings = meter.at_once([0.1, 0.2, -0.1, 0.0], seconds)
            assert np.diff(readings.seconds) == pytest.approx(seconds, abs=2e-6)
            assert readings.volts == pytest.approx([0.1, 0.2, -0.1, 0.0], abs=1e-3)


def test_a_long_list_goes_in_pieces_and_comes_back_whole(found: Rig) -> None:
    levels = [0.1 * (place % 7) for place in range(999)] + [0.0]
    with found.board as board:
        meter = driving(board)
        meter.start(levels, 1e-3)
        assert not meter.running()
        readings = meter.fetch()
    assert readings.volts == pytest.approx(levels, abs=2e-3)
    assert max(map(len, found.heard)) < 1500


def test_one_level_alone_leaves_no_event_for_the_next_run(found: Rig) -> None:
    with found.board as board:
        meter = driving(board)
        assert len(meter.at_once([0.0], 5e-3).amps) == 1
        readings = meter.at_once([0.1, 0.2, 0.0], 5e-3)
        assert np.diff(readings.seconds) == pytest.approx(5e-3, abs=2e-6)


def test_a_40_volt_model_has_ranges_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        source_meters.KINDS, "keithley2600", (Keithley2600Of40Volts, partial(Emulator, model="2601B"))
    )
    with bench() as found:
        with found.board as board:
            board.apply([reading(board), writing(board, 1.5, 20e-3)])
        assert "smua.source.rangev = 0.1" in found.heard
        assert "smua.source.rangev = 6.0" in found.heard


def test_a_pulse_too_short_is_refused_and_nothing_is_driven(found: Rig) -> None:
    with found.board as board:
        found.heard.clear()
        with pytest.raises(LimitExceeded):
            board.apply([writing(board, 0.5, 100e-6)])
        assert found.heard == []


def test_switched_off_in_the_middle_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real clock: the run goes on by itself, is asked about, and ends where it is cut."""
    witness = Witness(tmp_path / "witness")
    emulator = partial(Emulator, witness=witness, realtime=True)
    monkeypatch.setitem(source_meters.KINDS, "keithley2600", (Keithley2600, emulator))
    with bench() as found, found.board as board:
        board.apply([reading(board)])
        meter = board._meter
        meter.start([0.1] * 500 + [0.0], 20e-3)
        assert meter.running()
        until = time.monotonic() + 5
        while not len(meter.fetch().amps) > 3 and time.monotonic() < until:
            time.sleep(0.02)
        assert witness.look().live == 1
        assert board.make_safe() is Outputs.OFF
        assert witness.look().live == 0
        assert not meter.running()
        assert 3 < len(meter.fetch().amps) < 500
    witness.close()


# ---- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["MODEL 2450", "MODEL 2601B"])
def test_fault_14_another_instrument_is_left_alone(model: str) -> None:
    with bench(faults=f"say KEITHLEY,{model},1,1 on IDN") as found:
        with pytest.raises(BoardFault, match=f'it is "{model}"'):
            found.board.__enter__()
        assert set(found.heard) == {"*IDN?"}
    with bench(serial="9") as found:
        with pytest.raises(BoardFault, match='serial number is "1400001"'):
            found.board.__enter__()
        assert set(found.heard) == {"*IDN?"}


def test_fault_15_errors_of_others_are_drained_and_an_endless_queue_is_a_fault() -> None:
    with bench() as found:
        found.instrument.receive(b"nonsense()")
        with found.board as board:
            board.apply([reading(board)])
    with bench(faults="errors") as found, pytest.raises(BoardFault, match="more than 50 errors"):
        found.board.__enter__()


def test_fault_15_an_error_in_a_run_fails_it(found: Rig) -> None:
    with found.board as board:
        board.apply([reading(board)])
        found.instrument.errors.add(-286, "TSP Runtime error: somebody's")
        with pytest.raises(BoardFault, match=r"refuses a run: .*somebody's") as caught:
            board.apply([reading(board)])
        assert caught.value.outputs is Outputs.OFF


IGNORED = ["offmode", "rangev", "source.limiti", "measure.rangei", "nplc", "delay", "passthrough", "stimulus"]
IGNORED += ["autorangei", "trigger.source.limiti", "trigger.source.action", "OUTPUT_ON", "asciiprecision"]


@pytest.mark.parametrize("ignored", IGNORED)
def test_fault_16_a_setting_that_is_not_taken_is_a_fault(ignored: str) -> None:
    with bench(compliance="1 mA") as found:

        def change(message: str) -> str | None:
            return None if ignored in message and " = " in message else message

        source_meters.meddle(found.instrument, change)
        with pytest.raises(BoardFault), found.board as board:
            board.apply([writing(board, 0.5, 20e-3), reading(board)])
        assert not found.instrument.smu.output


def test_fault_17_a_source_that_was_left_on_goes_off_before_anything_is_reset() -> None:
    with bench(faults="starts-on 5") as found:
        assert found.instrument.smu.output
        with found.board:
            assert not found.instrument.smu.output
        heard = found.heard
        assert heard.index("smua.source.output = smua.OUTPUT_OFF") < heard.index("smua.reset()")
        assert found.instrument.smu.level("volts") == 0.0


def _apply_often(board: Keithley2600) -> None:
    for _ in range(30):
        board.apply([reading(board)])


def test_fault_18_a_change_at_the_front_panel_is_noticed(found: Rig) -> None:
    with found.board as board:
        board.apply([reading(board)])
        found.instrument.receive(b"smua.source.limiti = 0.5")
        with pytest.raises(BoardFault, match="its settings are"):
            _apply_often(board)
    assert not found.instrument.smu.output


def test_fault_19_a_power_cut_is_noticed(found: Rig) -> None:
    with found.board as board:
        board.apply([reading(board)])
        found.instrument.power_cycle()
        with pytest.raises(Misbehaved) as caught:
            board.apply([reading(board)])
        assert caught.value.outputs is Outputs.OFF


def test_fault_20_an_open_interlock_is_told() -> None:
    told = "does not switch on: its interlock is open"
    with bench(faults="interlock-open") as found, found.board as board, pytest.raises(BoardFault, match=told):
        board.apply([reading(board)])


def test_fault_20_an_interlock_that_opens_is_told(found: Rig) -> None:
    with found.board as board:
        board.apply([reading(board)])
        found.instrument.smu.open_interlock()
        with pytest.raises(BoardFault, match=r"went off in a run: its interlock is open"):
            board.apply([reading(board)])


def test_fault_21_a_run_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.source_meters.player.MARGIN", 0.1)
    with bench(deadline="300 ms") as found, found.board as board:
        board.apply([reading(board)])
        found.instrument.suffer("busy", "")
        with pytest.raises(BoardHung) as caught:
            board.apply([writing(board, 0.5, 20e-3)])
        assert caught.value.outputs is Outputs.OFF
        assert not found.instrument.smu.output


def test_fault_21_a_stimulus_that_never_comes(found: Rig) -> None:
    tsp = found.instrument
    for line in ("smua.trigger.source.listv({0.1, 0})", "smua.trigger.source.action = smua.ENABLE"):
        assert tsp.receive(line.encode()) == b""
    tsp.receive(b"smua.trigger.source.stimulus = trigger.timer[3].EVENT_ID smua.trigger.initiate()")
    assert tsp.receive(b"print(status.operation.sweeping.condition)") == b"2.00000e+00\n"
    assert tsp.receive(b"waitcomplete() print('done')") == b""
    assert tsp.receive(b"print('next')") == b""
    assert tsp.receive(b"abort") == b""
    assert tsp.receive(b"print(status.operation.sweeping.condition)") == b"0.00000e+00\n"


def test_fault_22_and_27_over_range_is_a_flag_and_never_a_number() -> None:
    with bench(resistor(100.0, 0.0), series="0 ohm") as found, found.board as board:
        meter = board._meter
        meter.arrange(Setup(2.0, 1e-6, 0.1))
        meter.switch_on()
        readings = meter.at_once([0.5, 0.0], 10e-3)
        assert list(map(int, readings.flags)) == [Flag.OVER_RANGE, Flag.NONE]
        assert readings.amps[0] == 0.0


def test_fault_26_a_current_at_its_limit_is_flagged() -> None:
    with bench(resistor(100.0), compliance="20 uA") as found, found.board as board:
        (trace,) = board.apply([writing(board, 1.0, 20e-3)])
        assert trace.flags & Flag.COMPLIANCE
        assert np.abs(trace.amps[:, 0]).max() <= 20.1e-6


REPLIES = ["nan, 0, 0, 0", "1_0, 0, 0, 0", "inf, 0, 0, 0", "0.05, 1e-6, 0", "", "٣, 0, 0, 0", "0, 0, 0, 0, 0"]


@pytest.mark.parametrize("reply", REPLIES)
def test_fault_23_what_is_no_row_of_numbers_is_a_fault(reply: str) -> None:
    with bench(faults=f"say {reply} on printbuffer") as found, found.board as board:
        with pytest.raises(BoardFault) as caught:
            board.apply([reading(board)])
        assert caught.value.outputs is Outputs.OFF


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("drop 5 on printbuffer", BoardGone),
        ("silence on printbuffer", BoardHung),
        ("garbage on printbuffer", BoardFault),
        ("flood 3000000 on printbuffer", BoardFault),
        ("late 1 on printbuffer", BoardHung),
    ],
)
def test_fault_1_to_8_a_link_that_fails_leaves_the_output_off(script: str, error: type[LabError]) -> None:
    with bench(faults=script, deadline="300 ms") as found, found.board as board:
        with pytest.raises(error) as caught:
            board.apply([reading(board)])
        assert isinstance(caught.value, Misbehaved)
        assert caught.value.outputs is Outputs.OFF
        assert not found.instrument.smu.output


def test_a_table_says_which_channel() -> None:
    table = {"address": "tcp://h:1", "channel": "c"}
    with pytest.raises(LabError, match="channel"):
        build(table, Keithley2600Settings, "test")


# ---- the emulator, for other people's software ---------------------------------------------------


def asked(*lines: str, ohms: float = 10e3, **more: Any) -> str:
    """What these lines print, with 10 kohm in series."""
    emulator = Emulator(resistor(ohms), **more)
    return "".join(emulator.receive(line.encode()).decode() for line in lines)


ON = "smua.source.func = smua.OUTPUT_DCVOLTS smua.source.rangev = 2 "
ON += "smua.source.levelv = 1 smua.source.output = 1"


def test_a_limit_lowers_the_voltage() -> None:
    said = asked(ON, "smua.source.limiti = 1e-5", "print(smua.source.compliance)", "print(smua.measure.iv())")
    compliance, pair = said.splitlines()
    assert compliance == "true"
    assert list(map(float, pair.split("\t"))) == pytest.approx([1e-5, 0.2], rel=1e-3)


def test_a_staircase_as_people_write_it() -> None:
    said = asked(
        ON,
        "smua.measure.rangei = 1e-3 smua.nvbuffer1.clear()",
        "for v = 0, 1, 0.25 do smua.source.levelv = v delay(0.01) smua.measure.i(smua.nvbuffer1) end",
        "print(smua.nvbuffer1.n)",
        "printbuffer(1, smua.nvbuffer1.n, smua.nvbuffer1.readings)",
    )
    assert said.startswith("1.00000e+00\n"), "without appendmode each measurement begins a buffer anew"
    said = asked(
        ON,
        "smua.measure.rangei = 1e-3 smua.nvbuffer1.clear() smua.nvbuffer1.appendmode = 1",
        "for v = 0, 1, 0.25 do smua.source.levelv = v delay(0.01) smua.measure.i(smua.nvbuffer1) end",
        "printbuffer(1, smua.nvbuffer1.n, smua.nvbuffer1.readings)",
    )
    assert list(map(float, said.split(","))) == pytest.approx([0, 12.5e-6, 25e-6, 37.5e-6, 50e-6], abs=1e-8)


REFUSED = {
    "smua.source.levelv = 300": 1101,
    "smua.source.limiti = 0": 1101,
    "smua.measure.nplc = 100": 1101,
    "smua.source.output = 3": 1101,
    "smua.source.offmode = 5": 1101,
    "smua.source.colour = 1": -286,
    "smub.source.levelv = 1": -286,
    "smua.trigger.count = 0": 1101,
    "smua.trigger.source.listv({})": 1101,
    "trigger.timer[1].delay = -1": 1101,
    "trigger.timer[9].delay = 1": -286,
    "printbuffer(1, 1, smua.nvbuffer1)": 1101,
    "smua.trigger.source.action = smua.ENABLE smua.trigger.initiate()": 5041,
    "smua.source.rangev = 200 smua.source.levelv = 200 smua.source.limiti = 1": 5007,
}


@pytest.mark.parametrize(("line", "code"), REFUSED.items(), ids=REFUSED)
def test_what_it_refuses_is_in_its_queue(line: str, code: int) -> None:
    said = asked(line, "print(errorqueue.next())")
    assert float(said.split("\t")[0]) == code


def test_the_limit_of_sweeps_is_that_of_sweeps_alone() -> None:
    said = asked(
        ON,
        "smua.source.limiti = 1e-3 smua.measure.rangei = 1e-3 smua.trigger.source.limiti = 1e-5",
        "smua.trigger.source.listv({1, 1}) smua.trigger.source.action = smua.ENABLE smua.trigger.count = 2",
        "smua.trigger.measure.i(smua.nvbuffer1) smua.trigger.measure.action = smua.ENABLE",
        "smua.trigger.initiate() waitcomplete()",
        "printbuffer(1, 2, smua.nvbuffer1.readings) print(smua.measure.i(), smua.source.limiti)",
    )
    swept, after = said.splitlines()
    assert list(map(float, swept.split(","))) == pytest.approx([1e-5, 1e-5], rel=1e-2)
    assert list(map(float, after.split("\t"))) == pytest.approx([5e-5, 1e-3], rel=1e-2)


def test_a_device_behind_it_moves() -> None:
    behind = device()
    emulator = Emulator(behind)
    before = behind.siemens()[0]
    emulator.receive(ON.replace("levelv = 1", "levelv = 1.0").encode())
    emulator.receive(b"delay(0.05) smua.source.output = 0")
    assert behind.siemens()[0] > 1.2 * before
