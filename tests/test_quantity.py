"""Text with units: what is read, what is refused and in which words, and that nothing is lost on the way."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labctl.errors import BadQuantity
from labctl.quantity import LONGEST, format_quantity, parse, printable, quoted

UNITS = ("V", "A", "s", "ohm", "S", "J", "F", "Hz", "W", "K", "%")


def is_number_or_refused(text: str, unit: str) -> bool:
    """Whether `text` gives a finite number or a refusal in plain text; anything else raises."""
    try:
        return math.isfinite(parse(text, unit))
    except BadQuantity as error:
        return str(error).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("20 kohm", "ohm", 20000.0),
        ("20kΩ", "ohm", 20000.0),
        ("20 k\u2126", "Ω", 20000.0),
        ("0.1 mV", "V", 1e-4),
        ("-1.5e-3 V", "V", -1.5e-3),
        ("+5. V", "V", 5.0),
        ("1E3 V", "V", 1000.0),
        ("50 us", "s", 5e-5),
        ("50 \u00b5s", "s", 5e-5),
        ("50 \u03bcs", "s", 5e-5),
        ("1 min", "s", 60.0),
        ("2 h", "s", 7200.0),
        ("180 pF", "F", 180e-12),
        ("3 fJ", "J", 3e-15),
        ("10 MHz", "Hz", 1e7),
        ("10 mHz", "Hz", 1e-2),
        ("1 GW", "W", 1e9),
        ("300 K", "K", 300.0),
        ("100 nS", "S", 1e-7),
        ("100 ns", "s", 1e-7),
        ("15 %", "1", 0.15),
        ("15%", "%", 0.15),
        ("0 V", "V", 0.0),
    ],
)
def test_what_is_read(text: str, unit: str, value: float) -> None:
    assert parse(text, unit) == value


REFUSED = [
    ("5 mA", "V", '5 mA is a current; volts are wanted, for example "5 mV"'),
    ("50 ms", "S", '50 ms is a time; siemens are wanted, for example "50 mS"'),
    ("5 min", "V", '5 min is a time; volts are wanted, for example "5 V"'),
    ("5 %", "V", '5 % is a fraction; volts are wanted, for example "5 V"'),
    ("5 mV", "1", '5 mV is a voltage; percentages are wanted, for example "5 %"'),
    ("0.1", "V", '0.1 has no unit: write "0.1 V"'),
    ("1e-3", "s", '1e-3 has no unit: write "0.001 s"'),
    ("0.15", "1", '0.15 has no unit: write "15 %"'),
    ("1,2 V", "V", '"1,2 V" has a comma; decimals follow a point, and nothing parts the thousands'),
    ("NaN V", "V", '"NaN V" is not a finite number'),
    ("-inf V", "V", '"-inf V" is not a finite number'),
    ("Infinity", "V", '"Infinity" is not a finite number'),
    ("1_0 V", "V", '"1_0 V" has an underscore'),
    ("\u0663 V", "V", '"\u0663 V" has digits other than 0 to 9'),
    ("1\uff12 V", "V", '"1\uff12 V" has digits other than 0 to 9'),
    ("\u22125 V", "V", '"\u22125 V" has a dash that is not the minus sign -'),
    ("0x10 V", "V", '"0x10 V" is not a decimal number'),
    (".5 V", "V", '".5 V" has no digit before the point'),
    ("", "V", '"" is empty'),
    (" \t", "V", '" \\t" is empty'),
    ("V", "V", '"V" has no number'),
    ("1 V 2 V", "V", '"1 V 2 V" has more than one number'),
    ("1-2 V", "V", '"1-2 V" has more than one number'),
    ("1 2 V", "V", '"1 2 V" has more than one number'),
    ("5  V", "V", '"5  V" has more space than the one between number and unit'),
    ("5 V\n", "V", '"5 V\\n" has more space than the one between number and unit'),
    ("5\u00a0V", "V", '"5\\xa0V" has more space than the one between number and unit'),
    ("5 V/s", "V", '"5 V/s" is not one number and one unit'),
    ("20 Kohm", "ohm", '"20 Kohm": "Kohm" is not a unit; did you mean "kohm"?'),
    ("20 kOhm", "ohm", '"20 kOhm": "kOhm" is not a unit; did you mean "kohm"?'),
    ("5 MOHM", "ohm", '"5 MOHM": "MOHM" is not a unit; did you mean "mohm" or "Mohm"?'),
    ("20 k", "ohm", '"20 k": "k" is not a unit; did you mean "kohm"?'),
    ("5 TV", "V", '"5 TV": "TV" is not a unit; did you mean "GV"?'),
    ("5 as", "s", '"5 as": "as" is not a unit; did you mean "fs"?'),
    ("5 volts", "V", '"5 volts": "volts" is not a unit; did you mean "V"?'),
    ("5 sec", "s", '"5 sec": "sec" is not a unit; did you mean "s"?'),
    ("15 percent", "%", '"15 percent": "percent" is not a unit; did you mean "%"?'),
    ("5 parsec", "V", '"5 parsec": "parsec" is not a unit'),
    ("1 m%", "%", '"1 m%" is not one number and one unit'),
    ("1e400 V", "V", "1e400 V is too large for a number"),
    ("1e308 GV", "V", "1e308 GV is too large for a number"),
    ("1e-400 V", "V", "1e-400 V is too small for a number"),
    ("1" * 100, "V", f'"{"1" * 60}…" has 100 characters, more than {LONGEST}'),
]


@pytest.mark.parametrize(("text", "unit", "wrong"), REFUSED)
def test_fault_54_what_is_refused_and_in_which_words(text: str, unit: str, wrong: str) -> None:
    with pytest.raises(BadQuantity) as caught:
        parse(text, unit)
    assert caught.value.wrong == wrong


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(BadQuantity) as caught:
        parse("1,2 V", "V")
    assert str(caught.value) == (
        '"1,2 V" has a comma; decimals follow a point, and nothing parts the thousands\n'
        '  allowed: one number and V, for example "0.5 V"; before V may stand one of f p n u m k M G'
    )
    with pytest.raises(BadQuantity, match="one number and s, min or h, for example"):
        parse("5 weeks", "s")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (20e3, "ohm", "20 kohm"),
        (12345.0, "ohm", "12.34 kohm"),
        (999.96, "V", "1 kV"),
        (-1.5e-6, "A", "-1.5 uA"),
        (0.0, "V", "0 V"),
        (-0.0, "V", "0 V"),
        (3e-18, "J", "0.003 fJ"),
        (1e12, "ohm", "1000 Gohm"),
        (1e30, "ohm", "1e+21 Gohm"),
        (86400.0, "s", "86400 s"),
        (300.0, "K", "300 K"),
        (0.15, "1", "15 %"),
        (1e-9, "%", "1e-7 %"),
        (math.nan, "V", "nan V"),
        (-math.inf, "V", "-inf V"),
    ],
)
def test_what_is_written(value: float, unit: str, text: str) -> None:
    assert format_quantity(value, unit) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(UNITS))
@example(5e-324, "V")
@example(1.7976931348623157e308, "V")
@example(0.1, "%")
def test_every_float_written_in_full_reads_back_as_itself(value: float, unit: str) -> None:
    assert parse(format_quantity(value, unit, digits=None), unit) == value


@given(
    st.floats(min_value=1e-300, max_value=1e300),
    st.sampled_from(UNITS),
    st.integers(min_value=1, max_value=17),
    st.booleans(),
)
def test_a_rounded_quantity_reads_back_as_the_rounded_number(
    size: float, unit: str, digits: int, negative: bool
) -> None:
    value = -size if negative else size
    assert parse(format_quantity(value, unit, digits), unit) == float(f"{value:.{digits - 1}e}")


@given(st.text(max_size=80), st.sampled_from(UNITS))
def test_fault_23_any_text_is_a_finite_number_or_a_bad_quantity(text: str, unit: str) -> None:
    assert is_number_or_refused(text, unit)


@given(st.from_regex(r"[-+]?[0-9_,.٣]{1,5}([eE][-+]?[0-9]{1,3})? ?[a-zA-ZµΩ%]{0,4}", fullmatch=True))
def test_fault_54_near_misses_are_a_finite_number_or_a_bad_quantity(text: str) -> None:
    assert all(is_number_or_refused(text, unit) for unit in UNITS)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_fault_54_no_dimension_passes_for_another(value: float, unit: str, other: str) -> None:
    if unit != other:
        with pytest.raises(BadQuantity):
            parse(format_quantity(value, unit), other)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_fault_23_what_is_not_finite_can_be_shown_but_never_read(value: float) -> None:
    with pytest.raises(BadQuantity, match="is not a finite number"):
        parse(format_quantity(value, "V"), "V")


def test_the_example_in_a_refusal_is_accepted() -> None:
    for unit in UNITS:
        with pytest.raises(BadQuantity) as caught:
            parse("5 x", unit)
        suggestion = caught.value.allowed.split('"')[1]
        assert math.isfinite(parse(suggestion, unit))


@given(st.text())
def test_fault_57_foreign_text_is_printable_and_short(text: str) -> None:
    assert printable(text).isprintable()
    assert len(quoted(text, 20)) <= 20 * len(r"\U0010ffff") + len('""…')
    assert quoted("a\x1b[31m\u202eb\ud800") == r'"a\x1b[31m\u202eb\ud800"'
