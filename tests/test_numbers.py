"""What passes for a number, and what does not."""

import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.languages.numbers import NONE_FROM, NoNumber, identity, number, numbers, reals, wire
from labctl.errors import BoardFault, LabError, Outputs, Refused


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1.000000E-07", 1e-7),
        ("-2.5e3", -2500.0),
        ("0", 0.0),
        ("1.", 1.0),
        (" 12 ", 12.0),
        ("-0.0", 0.0),
        ("+1.7976931348623157E+19", 1.7976931348623157e19),
    ],
)
def test_what_is_a_number(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1_0",
        "1_000.0",
        "٣",
        "１",
        "1,0",
        "1.0V",
        "0x10",
        ".5",
        "1e",
        "1e+",
        "--1",
        "1 2",
        "1\n",
        "1\t",
        "1\x00",
        "\x1b[31m1",
        "+-1",
        "1" * 65,
        "1e1000000000000000000000000000000000000000000000000000000000000000",
    ],
)
def test_fault_23_what_is_no_number(text: str) -> None:
    with pytest.raises(BoardFault) as raised:
        number(text)
    assert not isinstance(raised.value, NoNumber)
    assert raised.value.outputs is Outputs.UNKNOWN


@pytest.mark.parametrize(
    "text",
    ["9.9E37", "+9.910000E+37", "9.9100E+37", "-9.9E37", "9.90E+037", "1e22", "1.0E+23", "1e999", "-1e400"],
)
def test_fault_22_a_sign_of_no_value_is_no_number(text: str) -> None:
    with pytest.raises(NoNumber) as raised:
        number(text)
    assert raised.value.sentinel == float(text)
    with pytest.raises(NoNumber):
        numbers(f"1.0,{text}")


@given(st.text(max_size=80))
def test_whatever_is_said_a_number_is_finite_or_refused(text: str) -> None:
    try:
        assert abs(number(text)) < NONE_FROM
    except BoardFault:
        pass
    else:
        assert float(text) == number(text)


def test_lists_are_counted() -> None:
    assert numbers("1.0, -2,3E0", 3) == [1.0, -2.0, 3.0]
    assert numbers("1.0\t2.0", 2, "\t") == [1.0, 2.0]
    for text, count in (("1,2,3,4", 5), ("1,2", 1), ("", 1), ("1,", 2), ("1,,2", 3)):
        with pytest.raises(BoardFault):
            numbers(text, count)


def test_blocks_of_numbers_are_counted_and_finite() -> None:
    assert reals(struct.pack(">3d", 1.0, -2.0, 1e-7), count=3) == [1.0, -2.0, 1e-7]
    assert reals(struct.pack("<2f", 0.5, 0.25), "<f") == [0.5, 0.25]
    with pytest.raises(BoardFault, match="a block of 15 bytes"):
        reals(bytes(15))
    with pytest.raises(BoardFault, match="a block of 16 bytes"):
        reals(bytes(16), count=3)
    for value in (math.nan, math.inf, -math.inf, 9.91e37):
        with pytest.raises(NoNumber):
            reals(struct.pack(">2d", 1.0, value))


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-9e19, max_value=9e19))
def test_what_goes_out_reads_back_as_the_same(value: float) -> None:
    assert number(wire(value)) == value


def test_a_hundred_nanoamps_are_a_hundred_nanoamps() -> None:
    assert wire(100e-9) == "1e-07"
    assert wire(0.1) == "0.1"
    assert wire(-0.0) == "0.0"
    assert wire(5) == "5.0"
    for value in (math.nan, math.inf, -math.inf, 9.9e37):
        with pytest.raises(Refused):
            wire(value)


def test_who_an_instrument_is() -> None:
    told = identity("KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C32   Oct  4 2010 14:20:11/A02  /K/J")
    assert (told.maker, told.model, told.serial) == ("KEITHLEY INSTRUMENTS INC.", "MODEL 2400", "1234567")
    assert identity("A, B, C, D,E").firmware == "D,E"
    for reply in ("", "a,b,c", ",m,s,f", "m,,s,f", "a,b,c,\x1b[2J", "a,b,c,é", "a" * 300 + ",b,c,d"):
        with pytest.raises(BoardFault):
            identity(reply)


def test_messages_about_a_long_reply_are_short() -> None:
    text = "".join(random.Random(7).choices("0123456789\x1b", k=100_000))
    for read in (number, identity, lambda text: numbers(text, 3)):
        with pytest.raises(LabError) as raised:
            read(text)
        assert len(str(raised.value)) < 500
        assert "\x1b" not in str(raised.value)
