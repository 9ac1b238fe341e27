"""Emulated instruments in this process: devices behind terminals, the core of source meters, languages."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from labctl.addressing import select
from labctl.config import build
from labctl.errors import BadConfig
from labctl.pulse import Purpose
from labctl.shapes import square
from sim_backend.compact import CompactBoard
from sim_backend.devices.equations import current, prepared, rate
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.keithley2400 import MODEL, Keithley2400
from sim_backend.emulators.keithley2450 import Keithley2450
from sim_backend.emulators.keysight_b2900 import KeysightB2900
from sim_backend.emulators.serving.instrument import Clock
from sim_backend.emulators.smu.core import Smu
from sim_backend.emulators.smu.model import Seen, Unfit
from sim_backend.emulators.smu.run import Do, Measure, Runner, Wait
from sim_backend.settings import SimulatedSettings

KINDS: dict[str, Callable[..., Any]] = {
    "2400": Keithley2400,
    "2450": Keithley2450,
    "b2900": KeysightB2900,
}
IDENTITIES = {"2400": "MODEL 2400", "2450": "MODEL 2450", "b2900": "B2902A"}


def selector(dopant: str = "Cr", **settings: Any) -> SimulatedSettings:
    return build({"layout": "selector", "dopant": dopant, "columns": 2} | settings, SimulatedSettings, "test")


def resistors(*ohms: float) -> Terminals:
    return Terminals(Resistors(ohms or (10_000.0,)))


def talk(instrument: Any, *messages: str) -> str:
    """The reply to the last of these."""
    reply = b""
    for message in messages:
        reply = instrument.receive(message.encode())
    return reply.decode().rstrip("\n")


def errors(instrument: Any) -> list[int]:
    """The codes in its queue, oldest first."""
    found = list[int]()
    while code := int(talk(instrument, ":SYST:ERR?").split(",")[0]):
        found.append(code)
    return found


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


# ---- terminals -------------------------------------------------------------------------------


def joules_and_siemens(board: CompactBoard, volts: float, seconds: float) -> tuple[float, float]:
    pulse = select(board.spec, 0, square(volts, seconds, seconds / 1000), Purpose.PROGRAM)
    look = select(board.spec, 0, square(0.1, 1e-3, 1e-6), Purpose.READ)
    traces = [board.apply([one])[0] for one in (pulse, look)]
    energies = [float(t.seconds @ (t.volts[:, 0] * t.amps[:, 0])) for t in traces]
    return energies[0], energies[1] / (0.1**2 * 1e-3)


@pytest.mark.parametrize("dopant", ["Cr", "W"])
def test_a_level_held_is_a_pulse_on_the_board(dopant: str) -> None:
    terminals, board = Terminals(selector(dopant)), CompactBoard(selector(dopant))
    with board:
        for volts, seconds in ((1.0, 1e-3), (-1.0, 2e-3), (0.7, 1e-2), (1.5, 1e-4)):
            joules, siemens = joules_and_siemens(board, volts, seconds)
            held = terminals.hold(volts, seconds)
            terminals.hold(0.0, 1e-5)
            look = terminals.hold(0.1, 1e-3)
            assert held.amps * held.volts * seconds == pytest.approx(joules, rel=0.01)
            assert look.amps / 0.1 == pytest.approx(siemens, rel=0.01)


def test_levels_in_pieces_are_one_level() -> None:
    whole, pieces = Terminals(selector()), Terminals(selector())
    held = whole.hold(0.8, 1e-3)
    parts = [pieces.hold(0.8, 1e-4).amps for _ in range(10)]
    assert float(np.mean(parts)) == pytest.approx(held.amps, rel=2e-3)
    assert pieces.siemens()[0] == pytest.approx(whole.siemens()[0], rel=2e-3)


def test_a_window_of_a_level_is_what_is_there_then() -> None:
    whole, parts = Terminals(selector()), Terminals(selector())
    window = whole.hold(0.8, 1e-3, at=(4e-4, 6e-4))
    parts.hold(0.8, 4e-4)
    assert window.amps == pytest.approx(parts.hold(0.8, 2e-4).amps, rel=1e-6)
    parts.hold(0.8, 4e-4)
    assert whole.siemens()[0] == pytest.approx(parts.siemens()[0], rel=1e-6)


def test_a_look_moves_nothing() -> None:
    terminals = Terminals(selector())
    before = terminals.siemens()
    held = terminals.hold(1.0, 0.0, 1e-6)
    assert held.limited
    assert abs(held.amps) == 1e-6
    assert terminals.siemens() == before


@pytest.mark.parametrize(
    ("dopant", "volts", "limit"), [("Cr", 1.0, 2e-5), ("W", 1.0, 4e-5), ("W", -1.0, 1e-5)]
)
def test_a_limit_steers_the_state_as_small_steps_do(dopant: str, volts: float, limit: float) -> None:
    """Against Heun's method in 4,000 steps, the current at the limit wherever it would be above."""
    seconds, steps = 2e-3, 4000
    terminals, board = Terminals(selector(dopant)), CompactBoard(selector(dopant))
    p, x = prepared(board._chip.parameters[0]), float(board._chip.x[0])
    ohms = board.spec.series_ohms[0] + board.spec.series_ohms[1]

    def slope(x: float) -> float:
        near, far = 0.0, volts
        for _ in range(30):
            v = 0.5 * (near + far)
            amps = current(v, x, p)
            over = abs(amps) > limit or abs(amps * ohms + v) > abs(volts)
            near, far = (near, v) if over else (v, far)
        return rate(near, x, p)

    for _ in range(steps):
        first = slope(x) * seconds / steps
        x += 0.5 * (first + slope(x + first) * seconds / steps)
    held = terminals.hold(volts, seconds, limit)
    assert held.limited
    assert abs(held.amps) <= limit * 1.01
    assert abs(held.volts) < abs(volts)
    assert terminals._load._board._chip.x[0] == pytest.approx(x, rel=0.01)  # pyright: ignore


def test_only_what_is_closed_is_reached() -> None:
    terminals = Terminals(selector())
    terminals.closed = {1}
    before = terminals.siemens()
    terminals.hold(1.0, 1e-3)
    first, second = terminals.siemens()
    assert first == before[0]
    assert second > 1.5 * before[1]
    terminals.closed = set()
    assert terminals.hold(1.0, 1e-3).amps == 0.0
    assert terminals.siemens()[1] == second


def test_two_closed_share_the_source() -> None:
    terminals = Terminals(selector())
    alone = terminals.hold(0.1, 0.0).amps
    terminals.closed = {0, 1}
    both = terminals.hold(0.1, 1e-4)
    assert 1.3 * alone < both.amps < 2 * alone
    limited = terminals.hold(1.0, 1e-4, 2e-5)
    assert limited.limited
    assert abs(limited.amps) <= 2.01e-5


def test_a_wave_is_played() -> None:
    terminals = resistors(1000.0)
    samples = terminals.wave(np.array([0.0, 1e-3, 2e-3]), np.array([0.0, 1.0, 0.0]))
    assert float(samples.seconds.sum()) == pytest.approx(2e-3)
    assert samples.amps.tolist() == [0.0, 1e-3, 0.0]
    devices = Terminals(selector())
    played = devices.wave(np.array([0.0, 1e-5, 1e-3]), np.array([0.0, 1.0, 1.0]))
    assert devices.siemens()[0] > 1.5 * devices.siemens()[1]
    assert float(played.seconds.sum()) == pytest.approx(1e-3)


def test_what_is_no_load_is_refused() -> None:
    with pytest.raises(BadConfig, match="above 0 ohm"):
        Terminals(Resistors((0.0,)))
    crossbar = build({"layout": "crossbar"}, SimulatedSettings, "test")
    with pytest.raises(BadConfig, match="two terminals"):
        Terminals(crossbar)


# ---- the core --------------------------------------------------------------------------------


def smu(*ohms: float, **how: Any) -> Smu:
    found = Smu(MODEL, resistors(*ohms), Clock(), **how)
    found.set_limit("amps", 1e-3)
    found.output = True
    return found


def test_levels_and_readings_come_in_steps_of_their_ranges() -> None:
    found = smu()
    found.set_source_range("volts", 2.0)
    found.set_level("volts", 0.12345678)
    step = 2.0 * MODEL.volts.source_step
    assert found.level("volts") == pytest.approx(round(0.12345678 / step) * step, abs=1e-15)
    found.set_sense_range("amps", 1e-4)
    readings = [found.measure().amps for _ in range(50)]
    steps = np.array(readings) / (1e-4 * MODEL.amps.measure_step)
    assert np.abs(steps - np.round(steps)).max() < 1e-6
    assert len(set(readings)) > 1
    assert float(np.mean(readings)) == pytest.approx(found.level("volts") / 1e4, rel=1e-3)


def test_long_apertures_are_quieter() -> None:
    def spread(cycles: float) -> float:
        found = smu(seed=3)
        found.set_sense_range("amps", 1e-3)
        found.set_cycles("amps", cycles)
        found.set_cycles("volts", cycles)
        return float(np.std([found.measure().amps for _ in range(300)]))

    assert spread(0.01) == pytest.approx(10 * spread(1.0), rel=0.4)


def test_a_current_beyond_its_range_is_seen() -> None:
    found = Smu(KeysightB2900.model, resistors(), Clock())
    found.set_limit("amps", 1e-2)
    found.output = True
    found.set_sense_range("amps", 1e-6)
    found.set_level("volts", 1.0)
    assert found.measure().seen == Seen.AMPS_OVER


def test_a_2400_is_limited_by_a_fixed_range_too() -> None:
    found = smu()
    found.set_sense_range("amps", 1e-5)
    found.set_level("volts", 1.0)
    reading = found.measure()
    assert reading.seen == Seen.RANGE_COMPLIANCE
    assert reading.amps == pytest.approx(1.05e-5, rel=1e-3)


def test_a_current_source_has_a_voltage_limit() -> None:
    found = smu()
    found.function = "amps"
    assert not found.output
    found.set_limit("volts", 2.0)
    found.set_level("amps", 1e-4)
    found.output = True
    reading = found.measure()
    assert (reading.volts, reading.seen) == (pytest.approx(1.0, rel=1e-4), Seen.FINE)
    found.set_level("amps", -1e-3)
    reading = found.measure()
    assert (reading.volts, reading.seen) == (pytest.approx(-2.0, rel=1e-4), Seen.COMPLIANCE)
    assert reading.amps == pytest.approx(-2e-4, rel=1e-3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 211.0, -211.0])
def test_a_level_that_cannot_be_is_refused_and_nothing_changes(value: float) -> None:
    found = smu()
    found.set_level("volts", 0.5)
    with pytest.raises(Unfit):
        found.set_level("volts", value)
    assert found.level("volts") == 0.5


def test_volts_and_amps_together_stay_in_the_envelope() -> None:
    found = smu()
    found.set_limit("amps", 1.0)
    with pytest.raises(Unfit, match="envelope"):
        found.set_level("volts", 100.0)
    found.set_limit("amps", 0.1)
    found.set_level("volts", 100.0)
    with pytest.raises(Unfit, match="envelope"):
        found.set_limit("amps", 1.0)
    assert found.limit("amps") == 0.1


def test_off_is_nothing_at_the_terminals() -> None:
    found = Smu(MODEL, Terminals(selector()), Clock())
    found.set_level("volts", 2.0)
    found.output = True
    found.output = False
    terminals = found._terminals
    assert terminals is not None
    before = terminals.siemens()
    assert abs(found.measure().amps) < 1e-9
    assert terminals.siemens() == before


def test_a_run_in_virtual_time_is_over_at_once() -> None:
    found, taken = smu(), list[Any]()
    runner = Runner(found)
    runner.start(iter([Do(lambda: found.set_level("volts", 0.5)), Wait(3600.0), Measure(taken.append)]))
    assert not runner.active
    assert taken[0].seconds == pytest.approx(3600.0)


def test_a_run_without_an_end_goes_on_message_by_message_and_can_be_stopped() -> None:
    found = smu()
    runner = Runner(found)

    def forever() -> Any:
        while True:
            yield Wait(1.0)

    runner.start(forever(), endless=True)
    runner.advance()
    assert runner.active
    assert found.clock.seconds < 1.0
    runner.stop()
    runner.wait()


# ---- every instrument -----------------------------------------------------------------------


def test_identity_is_that_of_the_instrument(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    fields = talk(instrument, "*IDN?").split(",")
    assert len(fields) == 4
    assert IDENTITIES[kind] in fields[1]
    assert talk(instrument, "*idn?;*OPC?") == ",".join(fields) + ";1"


@pytest.mark.parametrize(
    "message",
    [":SOUR:VOLT 0.25", ":SOURCE1:VOLTAGE:LEVEL:IMMEDIATE:AMPLITUDE 250mV", "sour:volt:lev +2.5E-1"],
)
def test_short_long_and_optional_forms_are_one_command(kind: str, message: str) -> None:
    instrument = KINDS[kind](resistors())
    assert float(talk(instrument, message, ":SOUR:VOLT?")) == 0.25
    assert errors(instrument) == []


def test_compound_messages_are_relative_to_the_header_before(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    reply = talk(instrument, ":SOUR:VOLT:RANG 2;:SOUR:VOLT 1;VOLT?;*ESR?;VOLT:RANG?")
    assert [float(part) for part in reply.split(";")] == [1.0, 128.0, 2.0]


ALL_REFUSE = [
    (":FOO:BAR 1", -113),
    (":SOUR:VOLTA 1", -113),
    (":SOUR:VOLT", -109),
    (":SOUR:VOLT 1,2", -108),
    (":SOUR:VOLT abc", -104),
    (":SOUR:VOLT 1.2.3", -120),
    (":SOUR:VOLT 1e", -131),
    (":SOUR:VOLT 1 KG", -131),
    (":SOUR:VOLT nan", -104),
    (":SOUR:VOLT 1_0", -120),
    (":SOUR:VOLT 1e999", -222),
    (":SOUR:VOLT 1000", -222),
    (":OUTP MAYBE", -224),
    (":SOUR:FUNC FOO", -224),
    (':OUTP "ON"', -104),
    ("::SOUR:VOLT 1", -102),
    (":SOUR:VOLT! 1", -102),
    (":AVERYLONGMNEMONIC 1", -112),
    (':SENS:FUNC "CURR', -151),
    (":SENS:FUNC CURR", -104),
    ("*IDN? 1", -108),
    ("*ESE 256", -222),
    (":OUTP\xff ON", -101),
]


@pytest.mark.parametrize(("message", "code"), ALL_REFUSE)
def test_what_is_wrong_has_the_code_of_the_standard(kind: str, message: str, code: int) -> None:
    instrument = KINDS[kind](resistors())
    header = ":SOUR1:FUNC:MODE" if kind == "b2900" else ":SOUR:FUNC"
    assert instrument.receive(message.replace(":SOUR:FUNC", header).encode("latin-1")) == b""
    assert errors(instrument) == [code]
    assert float(talk(instrument, ":SOUR:VOLT?")) == 0.0
    event = {1: 32, 2: 16}[-code // 100]
    assert int(talk(instrument, "*ESR?")) == event | 128


def test_after_a_mistake_the_rest_of_a_message_is_not_done(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    assert talk(instrument, ":SOUR:VOLT 1;:FOO 1;:SOUR:VOLT 2;VOLT?") == ""
    assert float(talk(instrument, ":SOUR:VOLT?")) == 1.0


def test_a_full_queue_says_so(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    for _ in range(instrument.most_errors + 5):
        talk(instrument, ":FOO")
    assert int(talk(instrument, ":SYST:ERR:COUN?")) == instrument.most_errors
    found = errors(instrument)
    assert found == [-113] * (instrument.most_errors - 1) + [-350]


def test_status_bytes_follow_ieee_488_2(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    assert int(talk(instrument, "*ESR?")) == 128  # just switched on
    assert talk(instrument, "*ESR?", "*ESE 32;*SRE 32;*STB?") == "0"
    talk(instrument, ":FOO")
    assert int(talk(instrument, "*STB?")) & 0b1100100 == 0b1100100
    talk(instrument, "*CLS")
    assert talk(instrument, "*STB?;*ESR?") == "0;0"
    assert talk(instrument, "*OPC", "*ESR?") == "1"
    assert talk(instrument, "*ESE?;*SRE?") == "32;32"


def test_settings_stay_until_they_are_reset(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    limit = ":SOUR:VOLT:ILIM" if kind == "2450" else ":SENS:CURR:PROT"
    talk(instrument, f"{limit} 5e-5", ":SOUR:VOLT 0.3", ":OUTP ON")
    assert float(talk(instrument, f"{limit}?")) == 5e-5
    assert talk(instrument, ":OUTP?") == "1"
    talk(instrument, "*RST")
    assert talk(instrument, ":OUTP?") == "0"
    assert float(talk(instrument, f"{limit}?")) != 5e-5
    talk(instrument, ":OUTP ON;:FOO")
    instrument.power_cycle()
    assert talk(instrument, ":OUTP?") == "0"
    assert errors(instrument) == []
    assert int(talk(instrument, "*ESR?")) & 128


def test_100_nanoamps_are_100_nanoamps(kind: str) -> None:
    instrument = KINDS[kind](resistors())
    limit = ":SOUR:VOLT:ILIM" if kind == "2450" else ":SENS:CURR:PROT"
    assert float(talk(instrument, f"{limit} 1e-07", f"{limit}?")) == 1e-7


def test_random_bytes_do_no_harm(kind: str) -> None:
    instrument, draw = KINDS[kind](resistors()), np.random.default_rng(1)
    words = [
        b":SOUR",
        b":VOLT",
        b" 1",
        b",",
        b";",
        b"?",
        b'"',
        b"(@1)",
        b":LIST",
        b"*",
        b":TRIG",
        b":COUN",
        b"\xff",
    ]
    for _ in range(3000):
        pick = draw.integers(0, len(words), draw.integers(1, 8))
        instrument.receive(b"".join(words[one] for one in pick))
        instrument.receive(draw.bytes(int(draw.integers(0, 30))))
    assert len(instrument.errors) <= instrument.most_errors
    assert IDENTITIES[kind] in talk(instrument, "*CLS", "*IDN?")
