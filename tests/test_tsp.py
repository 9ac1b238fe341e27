"""The TSP of the emulators: a Lua subset, its errors, what it prints; and the driver's side of it."""

import math
import struct
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.languages.tsp import Tsp as Language
from drivers.links import connect
from labctl.errors import BoardFault, BoardHung, Refused
from sim_backend.emulators.lua.parser import parse
from sim_backend.emulators.lua.words import LuaSyntaxError
from sim_backend.emulators.serving.instrument import Clock
from sim_backend.emulators.serving.server import on_tcp
from sim_backend.emulators.tsp.language import Tsp

IDENTITY = ("Keithley Instruments Inc.", "Model 0", "1", "1.0")


def instrument(real: bool = False) -> Tsp:
    return Tsp(IDENTITY, Clock(real=real))


def printed(*lines: str) -> str:
    """What these messages print, with the numbers as short as they go."""
    tsp = instrument()
    return "".join(
        tsp.receive(line.encode()).decode() for line in ("format.asciiprecision = 1", *lines)
    ).strip()


def error(*lines: str) -> str:
    """The first entry of the error queue after these messages."""
    tsp = instrument()
    for line in lines:
        assert tsp.receive(line.encode()) == b""
    code, message, *_ = tsp.receive(b"print(errorqueue.next())").decode().split("\t")
    return f"{float(code):.0f} {message}"


def value(expression: str) -> str:
    return printed(f"print({expression})")


# ---- Lua -----------------------------------------------------------------------------------------

EXPRESSIONS = {
    "1 + 2 * 3 - 4 / 2": "5e+00",
    "2 ^ 3 ^ 2 / 2 ^ 9": "1e+00",
    "-2 ^ 2": "-4e+00",
    "(1 + 1) * 3": "6e+00",
    "0.5e1": "5e+00",
    ".5 * 10": "5e+00",
    "1 / 0": "inf",
    "1 < 2 and 2 <= 2 and 3 > 2 and 3 >= 3 and 1 ~= 2": "true",
    "not nil == true": "true",
    "nil or false": "false",
    "false and x.y": "false",
    "1 and 'a' or 'b'": "a",
    "'a' .. 1 .. \"b\"": "a1b",
    "'it''s'": "its",
    "'\\65\\t' .. 1": "A\t1",
    "[[two\nlines]]": "two\nlines",
    "'1' + 1": "2e+00",
    "'1' == 1": "false",
    "'a' < 'b'": "true",
    "nothing": "nil",
    "({5, 6, x = 7})[2]": "6e+00",
    "({5, 6, x = 7}).x": "7e+00",
    "({[3] = 5})[3]": "5e+00",
    "table.getn({1, 2, 3; 4})": "4e+00",
    "type(print) .. type({}) .. type(nil) .. type(1 == 1)": "functiontablenilboolean",
    "tostring(1e-7)": "1e-07",
    "tonumber('0x1')": "nil",
    "tonumber(' 2 ')": "2e+00",
    "math.floor(-1.5) + math.abs(-1) + math.max(1, 3, 2)": "2e+00",
    "math.sqrt(-1)": "nan",
    "string.format('%-5.2f|%d|%s|%%|%g', 1.234, 7, 'x', 1e-7)": "1.23 |7|x|%|1e-07",
    "string.sub('abcdef', 2, -2)": "bcde",
    "string.upper('abc') .. string.len('abc')": "ABC3",
    "table.concat({1, 2, 'x'}, '-')": "1-2-x",
    "bit.bitand(6, 3)": "2e+00",
    "bit.test(4, 3)": "true",
}


@pytest.mark.parametrize(("expression", "told"), EXPRESSIONS.items(), ids=EXPRESSIONS)
def test_an_expression(expression: str, told: str) -> None:
    assert value(expression.replace("''", "' .. '")) == told


SCRIPTS = {
    "for i = 1, 3 do print(i) end": "1e+00\n2e+00\n3e+00",
    "for i = 3, 1, -2 do print(i) end": "3e+00\n1e+00",
    "for i = 1, 0 do print(i) end print('none')": "none",
    "for i, v in ipairs({7, 8}) do print(i, v) end": "1e+00\t7e+00\n2e+00\t8e+00",
    "local t = {} t.b = 1 for k, v in pairs(t) do print(k, v) end": "b\t1e+00",
    "x = 0 while x < 5 do x = x + 1 if x == 3 then break end end print(x)": "3e+00",
    "x = 0 repeat x = x + 1 until x == 2; print(x)": "2e+00",
    "if 1 == 2 then print('a') elseif 2 == 2 then print('b') else print('c') end": "b",
    "if nil then print('a') else print('c') end": "c",
    "a, b = 1, 2 a, b = b, a print(a, b)": "2e+00\t1e+00",
    "local a, b = 1 print(a, b)": "1e+00\tnil",
    "do local inner = 1 end print(inner)": "nil",
    "function f(n) if n < 2 then return 1 end return n * f(n - 1) end print(f(4))": "2e+01",
    "local function two() return 1, 2 end print(two()) print((two())) print(two(), 3)": (
        "1e+00\t2e+00\n1e+00\n1e+00\t3e+00"
    ),
    "c = 0 local function up() c = c + 1 return c end up() up() print(c)": "2e+00",
    "t = {} t.f = function (x) return x end print(t.f(4))": "4e+00",
    "t = {1} table.insert(t, 2) table.insert(t, 1, 0) table.remove(t, 2) print(t[1], t[2], t[3])": (
        "0e+00\t2e+00\tnil"
    ),
    "-- a remark\nprint(1) --[[ another\n of two lines ]] print(2)": "1e+00\n2e+00",
    "x = 1; y = 2; print(x); print(y);": "1e+00\n2e+00",
    "print()": "",
}


@pytest.mark.parametrize(("script", "told"), SCRIPTS.items(), ids=SCRIPTS)
def test_a_script(script: str, told: str) -> None:
    assert printed(script) == told


NO_LUA = [
    "x =",
    "= 1",
    "print(1",
    "for i = 1 do end",
    "if x then",
    "x + 1",
    "local 1",
    "end",
    "a.b.c",
    "f() = 1",
]
NO_LUA += [
    "#t",
    "x = 5 % 2",
    "x = #t",
    "goto a",
    "x = 'open",
    "x = {1, 2",
    "return 1 print(2)",
    "$",
    "x = \x80",
]
NO_LUA += ["import os", "__import__('os')()=1", "x = 1_000", "lambda: 0", "((((((((((" * 10]


@pytest.mark.parametrize("text", NO_LUA)
def test_a_program_that_is_no_lua_is_minus_285(text: str) -> None:
    assert error(text).startswith("-285 TSP Syntax error")


WRONG = {
    "nothing()": "attempt to call `nothing' (a nil value)",
    "x.y = 1": "attempt to index `x' (a nil value)",
    "print(x.y.z)": "attempt to index `x' (a nil value)",
    "x = 1 + nil": "arithmetic: number expected, got nil",
    "x = 1 < 'a'": "attempt to compare number with string",
    "x = {} .. 'a'": "`..': string expected, got table",
    "format.colour = 1": "`format' has no attribute `colour'",
    "print(format.colour)": "`format' has no attribute `colour'",
    "format.ASCII = 2": "cannot modify read-only attribute `format.ASCII'",
    "t = {} t[nil] = 1": "index is nil",
    "while true do end": "more than 1000000 statements",
    "for i = 2, 1, 0 do end": "more than 1000000 statements",
    "function f() return f() end f()": "stack overflow",
    "break": "no loop to break",
    "for i = 'a', 2 do end": "`for': number expected, got string",
    "print(math.max())": "bad argument",
    "print(string.format('%d'))": "no value",
}


@pytest.mark.parametrize(("script", "told"), WRONG.items(), ids=WRONG)
def test_a_script_that_goes_wrong_is_minus_286(script: str, told: str) -> None:
    assert error(script).startswith("-286 TSP Runtime error")
    assert told in error(script)


def test_what_ran_before_the_error_stays_and_the_rest_does_not_run() -> None:
    assert printed("print(1) nothing() print(2)", "print(errorqueue.count)") == "1e+00\n1e+00"


def test_python_is_out_of_reach() -> None:
    for name in ("__class__", "__globals__", "__dict__", "clear", "items", "get"):
        assert "has no attribute" in error(f"print(errorqueue.{name}.x)") or name == "clear"
    assert error("print(print.__globals__)").startswith("-286")
    assert error("x = ('a').__class__").startswith("-286")


@given(st.text(max_size=60))
def test_any_text_is_lua_or_a_syntax_error(text: str) -> None:
    with suppress(LuaSyntaxError):
        parse(text)


@given(st.binary(max_size=40))
def test_any_message_is_taken(message: bytes) -> None:
    tsp = instrument()
    tsp.receive(message.replace(b"\n", b""))
    tsp.receive(b"abort")
    tsp.receive(b"endscript")
    assert tsp.receive(b"print('here')").endswith(b"here\n")


@given(st.floats(-1e300, 1e300))
def test_a_number_comes_back_as_precise_as_asked(number: float) -> None:
    tsp = instrument()
    tsp.receive(b"format.asciiprecision = 16")
    assert float(tsp.receive(f"print({number!r})".encode())) == pytest.approx(number, rel=1e-15)


FUNCTIONS = [
    "math.pow({}, {})",
    "math.floor({})",
    "math.max({}, {})",
    "string.format('%d %c', {}, {})",
    "{} ^ {}",
]
FUNCTIONS += ["bit.test({}, {})", "bit.bitand({}, {})", "string.sub('abc', {}, {})", "{} / {}", "({{}})[{}]"]
FUNCTIONS += ["string.format('%5.1f %x', {}, {})", "table.insert({{}}, {}, {})", "math.random({}, {})"]


@given(st.sampled_from(FUNCTIONS), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_no_number_is_too_much_for_a_function(function: str, one: float, two: float) -> None:
    numbers = [
        "1 / 0" if number == math.inf else "-1 / 0" if number < -1e308 else repr(number)
        for number in (one, two)
    ]
    tsp = instrument()
    tsp.receive(b"format.data = format.REAL32 printnumber(1e300)")
    tsp.receive(f"print({function.format(*numbers)})".encode())
    assert tsp.receive(b"print('here')").endswith(b"here\n")


# ---- what an instrument adds ---------------------------------------------------------------------


def test_numbers_as_they_are_delivered_have_six_digits() -> None:
    tsp = instrument()
    assert tsp.receive(b"print(1e-7, true, nil, 'a')") == b"1.00000e-07\ttrue\tnil\ta\n"
    assert tsp.receive(b"printnumber(1, 2)") == b"1.00000e+00, 2.00000e+00\n"


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ("format.data = format.REAL32 format.byteorder = format.LITTLEENDIAN", "<2f"),
        ("format.data = format.REAL64 format.byteorder = format.BIGENDIAN", ">2d"),
    ],
)
def test_numbers_in_binary(settings: str, form: str) -> None:
    tsp = instrument()
    tsp.receive(settings.encode())
    assert tsp.receive(b"printnumber(1.5, -2)") == b"#0" + struct.pack(form, 1.5, -2.0) + b"\n"


def test_a_script_is_loaded_by_lines_and_run_by_its_name() -> None:
    lines = ("loadscript twice", "for i = 1, 2 do", "  print(i)", "end", "endscript")
    assert printed(*lines) == ""
    assert printed(*lines, "twice()") == printed(*lines, "twice.run()") == "1e+00\n2e+00"
    assert printed("loadscript", "print('a')", "endscript", "run()") == "a"
    assert printed("loadandrunscript", "print('a')", "endscript") == "a"
    assert error("loadscript", "print(", "endscript").startswith("-285")


def test_the_error_queue_has_an_end() -> None:
    tsp = instrument()
    for _ in range(200):
        tsp.receive(b"nothing()")
    codes = [float(tsp.receive(b"print(errorqueue.next())").split(b"\t")[0]) for _ in range(101)]
    assert codes[0] == -286
    assert codes[-2:] == [-350, 0]


def test_a_message_that_is_too_long_is_told() -> None:
    tsp = instrument()
    tsp.overrun()
    assert tsp.receive(b"print(errorqueue.next())").startswith(b"-3.63000e+02\tInput buffer overrun")


def test_the_common_commands() -> None:
    tsp = instrument()
    assert tsp.receive(b"*IDN?") == b"Keithley Instruments Inc., Model 0, 1, 1.0\n"
    assert tsp.receive(b"*OPC?") == b"1.00000e+00\n"
    assert tsp.receive(b"nothing()") == tsp.receive(b"*CLS") == tsp.receive(b"*RST") == b""
    assert tsp.receive(b"print(errorqueue.count)") == b"0.00000e+00\n"
    assert error("*WHAT?").startswith("-285")


def test_a_power_cycle_forgets_scripts_and_settings() -> None:
    tsp = instrument()
    for line in (b"x = 1", b"format.asciiprecision = 3", b"nothing()"):
        tsp.receive(line)
    tsp.power_cycle()
    assert tsp.receive(b"print(x, errorqueue.count)") == b"nil\t0.00000e+00\n"


def test_a_delay_takes_virtual_time_and_real_time_on_a_real_clock() -> None:
    tsp = instrument()
    assert tsp.receive(b"delay(1000) print('done')") == b"done\n"
    assert tsp.clock.seconds == 1000
    real = instrument(real=True)
    assert real.receive(b"delay(0.05) print('done')") == b""
    assert real.receive(b"print('next')") == b""
    assert 0 < real.due - time.monotonic() <= 0.05
    while math.isfinite(real.due):
        time.sleep(max(0.0, real.due - time.monotonic()))
        said = real.poll()
    assert said == b"done\nnext\n"


def test_abort_ends_what_waits() -> None:
    real = instrument(real=True)
    assert real.receive(b"delay(1000) print('never')") == b""
    assert real.receive(b"abort") == b""
    assert real.due == math.inf
    assert real.receive(b"print('next')") == b"next\n"


def test_a_long_script_inside_a_function_skips_what_it_cannot_wait_for() -> None:
    real = instrument(real=True)
    assert real.receive(b"function f() delay(1000) return 1 end print(f())") == b"1.00000e+00\n"


# ---- the driver's side ---------------------------------------------------------------------------


def test_the_language_asks_for_all_digits_and_gets_them() -> None:
    with on_tcp(instrument()) as address:
        link = connect(address)
        tsp = Language(link)
        tsp.begin()
        tsp.tell("x = 1 / 3", "y = 1e-07")
        assert tsp.ask_numbers("x", "y") == [pytest.approx(1 / 3, rel=1e-15), 1e-07]
        assert tsp.ask("x > y") == "true"
        assert tsp.set("level", 100e-9) == 1e-07
        tsp.set_word("level", "y")
        assert tsp.identity().model == "Model 0"
        link.close()


def test_fault_16_a_setting_that_is_not_taken() -> None:
    with on_tcp(instrument(), "ignore on level") as address:
        link = connect(address, seconds=0.2)
        tsp = Language(link)
        with pytest.raises((BoardFault, BoardHung)):
            tsp.set("level", 1.0)
        link.close()
    with on_tcp(instrument()) as address:
        link = connect(address)
        tsp = Language(link)
        tsp.tell("format.asciiprecision = 3")
        with pytest.raises(BoardFault, match=r"was told level = 1\.2345 and has \"1\.23\""):
            tsp.set("level", 1.2345)
        link.close()


def test_fault_15_errors_are_drained_and_told() -> None:
    with on_tcp(instrument()) as address:
        link = connect(address)
        tsp = Language(link)
        tsp.tell("nothing()")
        tsp.tell("x = ")
        with pytest.raises(BoardFault, match=r"refuses a step: .*-286 TSP Runtime error.*-285 TSP Syntax"):
            tsp.check("a step")
        tsp.check("a step")
        link.close()


def test_fault_15_a_queue_without_an_end() -> None:
    with on_tcp(instrument(), "errors") as address:
        link = connect(address)
        with pytest.raises(BoardFault, match="more than 50 errors"):
            Language(link).drain()
        link.close()


@pytest.mark.parametrize("reply", ["nan", "1_0", "٣", "9.91e37", "", "1\t2", "x", "1e999"])
def test_fault_23_what_is_no_number_is_a_fault(reply: str) -> None:
    with on_tcp(instrument(), f"say {reply} on level") as address:
        link = connect(address)
        with pytest.raises(BoardFault):
            Language(link).ask_number("level")
        link.close()


def test_nan_is_never_sent() -> None:
    with on_tcp(instrument()) as address:
        link = connect(address)
        for number in (math.nan, math.inf, 9.91e37):
            with pytest.raises(Refused):
                Language(link).set("level", number)
        with pytest.raises(Refused):
            Language(link).tell("print('ü')")
        link.close()


def test_a_script_for_other_software() -> None:
    """A page of TSP as people write it: tables, functions, loops, strings."""
    lines = """
    local function ramp(first, last, points)
        local list = {}
        for i = 1, points do
            list[i] = first + (last - first) * (i - 1) / (points - 1)
        end
        return list
    end
    local total, text = 0, ""
    for i, level in ipairs(ramp(0, 1, 5)) do
        total = total + level
        if i > 1 then text = text .. "," end
        text = text .. string.format("%.2f", level)
    end
    print(text, total)
    """
    assert (
        printed("loadandrunscript ramp", *lines.splitlines(), "endscript")
        == "0.00,0.25,0.50,0.75,1.00\t2e+00"
    )
