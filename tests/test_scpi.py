"""A conversation in SCPI: nothing counts as done because it was sent."""

import time
from collections.abc import Callable

import pytest

from drivers.languages.numbers import NoNumber
from drivers.languages.scpi import MOST_ERRORS, Scpi, same_word
from labctl.errors import BoardFault, BoardHung, Refused
from tests.memory_link import MemoryLink


class Instrument:
    """Keeps what it is told, and has an error queue; may be made to lie."""

    def __init__(self, change: Callable[[str], str] = str) -> None:
        self.settings: dict[str, str] = {}
        self.errors: list[str] = []
        self.change = change

    def answer(self, message: bytes) -> bytes:
        command, _, value = message.decode("ascii").rstrip("\r\n").partition(" ")
        if command == ":SYST:ERR?":
            entry = self.errors.pop(0) if self.errors else '+0,"No error"'
            return f"{entry}\n".encode()
        if command == "*IDN?":
            return b"KEITHLEY INSTRUMENTS,MODEL 2450,04419556,1.7.12b\r\n"
        if command.endswith("?"):
            return f"{self.settings.get(command[:-1], '')}\n".encode()
        self.settings[command] = self.change(value)
        return b""


def saying(reply: bytes) -> tuple[Scpi, MemoryLink]:
    link = MemoryLink(lambda _: reply)
    return Scpi(link), link


def test_what_is_set_is_asked_for() -> None:
    link = MemoryLink(Instrument().answer)
    scpi = Scpi(link)
    assert scpi.set(":SOUR:VOLT", 100e-9) == 100e-9
    scpi.set_word(":OUTP", "OFF")
    assert link.sent == [b":SOUR:VOLT 1e-07\n", b":SOUR:VOLT?\n", b":OUTP OFF\n", b":OUTP?\n"]
    assert scpi.tell_and_ask(":OUTP ON", ":OUTP?") == "ON"
    assert scpi.identity().serial == "04419556"


def test_fault_16_what_is_not_taken_is_a_fault() -> None:
    scpi = Scpi(MemoryLink(Instrument(lambda _: "0.21").answer))
    with pytest.raises(BoardFault, match=r"was told :SOUR:VOLT 0.5 and has \"0.21\""):
        scpi.set(":SOUR:VOLT", 0.5)
    with pytest.raises(BoardFault):
        scpi.set(":SOUR:VOLT", 0.2101)
    assert scpi.set(":SOUR:VOLT", 0.2101, tolerance=1e-3) == 0.21
    assert scpi.set(":SOUR:VOLT", 0.2101, step=2e-4) == 0.21
    with pytest.raises(BoardFault):
        scpi.set(":SOUR:VOLT", 0.0)
    with pytest.raises(BoardFault, match="OUTP"):
        scpi.set_word(":OUTP", "OFF")


def test_fault_22_a_setting_that_reads_back_as_no_value_is_a_fault() -> None:
    scpi = Scpi(MemoryLink(Instrument(lambda _: "9.91E37").answer))
    with pytest.raises(NoNumber):
        scpi.set(":SENS:CURR:PROT", 1e-6)


def test_no_command_hides_another() -> None:
    scpi, link = saying(b"1\n")
    for command in (":OUTP OFF\n:OUTP ON", ":OUTP\x00", ":SOUR:VOLT µ", "\x1b"):
        with pytest.raises(Refused, match="is no command"):
            scpi.tell(command)
        with pytest.raises(Refused):
            scpi.ask(command)
    assert not link.sent


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("VOLT", "VOLTage"),
        ("volt", "VOLTAGE"),
        ("IMM", "IMMediate"),
        ('"CURR"', "CURR"),
        ('"CURR:DC"', "CURRent:DC"),
        ("1", "ON"),
        ("0", "OFF"),
        ("HIMP", "HIMPedance"),
        ("SOURce1", "SOUR1"),
        ("AUTO", "auto"),
    ],
)
def test_the_same_word(one: str, other: str) -> None:
    assert same_word(one, other)
    assert same_word(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("VOLT", "CURR"),
        ("1", "OFF"),
        ("ON", "OFF"),
        ("", "OFF"),
        ("SOUR1", "SOUR2"),
        ("NORM", "NONE"),
        ("11", "ON"),
    ],
)
def test_not_the_same_word(one: str, other: str) -> None:
    assert not same_word(one, other)


def test_fault_15_the_error_queue_is_emptied_and_any_entry_fails_the_step() -> None:
    instrument = Instrument()
    scpi = Scpi(MemoryLink(instrument.answer))
    scpi.check("nothing")
    instrument.errors = ['-113,"Undefined header"', '-222,"Parameter data out of range"']
    with pytest.raises(BoardFault, match=r"refuses the range: .*-113"):
        scpi.check("the range")
    assert scpi.drain() == []
    instrument.errors = ['-350,"Queue overflow"'] * MOST_ERRORS
    assert len(scpi.drain()) == MOST_ERRORS


def test_fault_15_an_error_queue_without_an_end_is_a_fault() -> None:
    scpi, link = saying(b'-113,"Undefined header"\n')
    with pytest.raises(BoardFault, match="more than 50 errors"):
        scpi.drain()
    assert len(link.sent) == MOST_ERRORS + 1
    for reply in (b"\n", b"no error\n", b"nan\n", b"1_0\n", b'0x0,"x"\n'):
        with pytest.raises(BoardFault):
            saying(reply)[0].drain()


def test_fault_24_fields_are_counted() -> None:
    scpi, _ = saying(b"+1.0E-01,+1.0E-06,+9.910000E+37,+2.5E+01,+3.2E+04\n")
    with pytest.raises(NoNumber):
        scpi.ask_numbers(":READ?", 5)
    with pytest.raises(BoardFault, match="sent 5 values"):
        scpi.ask_numbers(":READ?", 4)


def test_fault_09_a_block_is_as_long_as_it_says() -> None:
    block = bytes(range(256))
    scpi, link = saying(b"#3256" + block + b"\n")
    assert scpi.ask_block(":TRAC:DATA?", 1.0) == block
    assert scpi.ask_block(":TRAC:DATA?", 1.0) == block
    assert link.opened == 1
    assert saying(b"#10\r\n")[0].ask_block("?", 1.0) == b""


@pytest.mark.parametrize(
    "reply",
    [
        b"#9999999999" + b"x" * 1000,
        b"#0" + b"x" * 100 + b"\n",
        b"#3256abc\n",
        b"#A12\n",
        b"1.0,2.0\n",
        b"#2 5abcde\n",
        b"#2-5abcde\n",
        b"#15abcdefgh\n",
        b"#15abcde" + b"x" * 20,
        b"#\n",
        b"",
    ],
)
def test_fault_09_a_block_that_lies_is_a_fault_and_closes_the_link(reply: bytes) -> None:
    scpi, link = saying(reply)
    with pytest.raises((BoardFault, BoardHung)):
        scpi.ask_block(":TRAC:DATA?", 1.0)
    assert not link._is_open
    assert not link._held


def test_fault_21_a_question_may_have_a_deadline_of_its_own() -> None:
    scpi, _ = saying(b"")
    with pytest.raises(BoardHung, match="within 30 s"):
        scpi.ask("*OPC?", 30.0)
    began = time.monotonic()
    with pytest.raises(BoardHung):
        scpi.ask("*OPC?", -1.0)
    assert time.monotonic() - began < 1.0


def test_replies_end_as_instruments_end_them() -> None:
    assert saying(b"1.0\r\n")[0].ask("?") == "1.0"
    assert saying(b"1.0\t2.0\n")[0].ask("?") == "1.0\t2.0"
    assert Scpi(MemoryLink(lambda _: b"1\r"), end="\r").ask("?") == "1"
    for reply in (b"1\r2\n", b"\x801\n", b"1\x00\n"):
        scpi, link = saying(reply)
        with pytest.raises(BoardFault, match="not printable ASCII"):
            scpi.ask("?")
        assert not link._is_open
