"""Files read into strict models: what is accepted, and the exact words for what is not."""

import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from labctl.config import (
    MOST_TOLD,
    Amps,
    Fraction,
    Joules,
    Name,
    Ohms,
    PositiveFraction,
    PositiveSeconds,
    PositiveVolts,
    Quantity,
    Seconds,
    Section,
    Volts,
    build,
    dump,
    read_toml,
)
from labctl.errors import BadConfig
from labctl.tomlfile import LARGEST


class Square(Section):
    shape: Literal["square"]
    width: PositiveSeconds


class Sine(Section):
    shape: Literal["sine"]
    period: PositiveSeconds


class Training(Section):
    tolerance: PositiveFraction
    amplitude: Annotated[float, Quantity("V", least=-2, most=2)]
    longest: PositiveSeconds = 1e-3
    cap: Joules | None = None
    steps: tuple[Volts, ...] = ()

    @model_validator(mode="after")
    def steps_rise(self) -> "Training":
        if list(self.steps) != sorted(self.steps):
            raise ValueError("steps must rise")
        return self


class Experiment(Section):
    name: Name
    seed: Annotated[int, Field(ge=0)]
    board: str = Field(alias="class")
    dopant: Literal["W", "Sn", "Cr", "C"] = "Cr"
    gain: float = 1.0
    verbose: bool = False
    training: Training
    pulse: Annotated[Square | Sine, Field(discriminator="shape")]
    sites: dict[str, Training] = Field(default={})
    pulses: tuple[Square, ...] = ()


GOOD = """
name = "letters-1"
seed = 7
class = "sim_backend.ngspice:NgspiceBoard"
pulse = {shape = "sine", period = "50 us"}
[training]
tolerance = "5 %"
amplitude = "1.2 V"
cap = "3 nJ"
steps = ["-100 mV", "0.3 V"]
[sites.a1]
tolerance = "0.1 %"
amplitude = "-700 mV"
[[pulses]]
shape = "square"
width = "5 us"
"""

BAD = """
name = "../etc/passwd"
sed = 7
dopant = "Fe"
gain = nan
verbose = 1
pulse = {shape = "square", widht = "5 us"}
pulses = [{shape = "square", width = "5 us"}, {shape = "sine", width = 5}]
"two words" = 3
[training]
tolerance = 0.1
tolerence = "5 %"
amplitude = "3 V"
longest = "-5 us"
cap = "3 mA"
steps = ["0.1 V", 0.3, true, 1979-05-27]
[sites.a1]
tolerance = "0 %"
amplitude = "1,2 V"
"""

TOLD = """\
exp.toml: 22 mistakes
  name: "../etc/passwd" is no name; allowed: 1 to 64 of A-Z a-z 0-9 . _ - , the first not a point, \
and no device of Windows (con, nul)
  seed: missing; allowed: a whole number
  class: missing; allowed: text in quotes
  dopant: "Fe"; allowed: "W", "Sn", "Cr" or "C"
  gain: nan; allowed: a finite number
  verbose: 1; allowed: true or false
  training.tolerance: 0.1 has no unit: write "10 %"
  training.amplitude: 3 V; allowed: at least -2 V and at most 2 V
  training.longest: -5 us; allowed: more than 0 s
  training.cap: 3 mA is a current; joules are wanted, for example "3 mJ"
  training.steps[1]: 0.3 has no unit: write "0.3 V"
  training.steps[2]: true is no quantity; allowed: a voltage, for example "0.5 V"
  training.steps[3]: 1979-05-27 is no quantity; allowed: a voltage, for example "0.5 V"
  training.tolerence: unknown key; did you mean "tolerance"? keys here: \
tolerance, amplitude, longest, cap, steps
  pulse.width: missing; allowed: a time, for example "50 us"
  pulse.widht: unknown key; did you mean "width"? keys here: shape, width
  sites.a1.tolerance: 0 %; allowed: more than 0 % and at most 100 %
  sites.a1.amplitude: "1,2 V" has a comma; decimals follow a point, and nothing parts the thousands; \
allowed: one number and V, for example "0.5 V"; before V may stand one of f p n u m k M G
  pulses[1].shape: "sine"; allowed: "square"
  pulses[1].width: 5 has no unit: write "5 s"
  sed: unknown key; did you mean "seed"? keys here: \
name, seed, class, dopant, gain, verbose, training, pulse, sites, pulses
  "two words": unknown key; keys here: \
name, seed, class, dopant, gain, verbose, training, pulse, sites, pulses"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("exp.toml")


def refusal(path: Path, contents: bytes | str) -> str:
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    with pytest.raises(BadConfig) as caught:
        read_toml(path, Experiment)
    return str(caught.value)


def is_plain(message: str) -> bool:
    return message.replace("\n", "").isprintable()


def good(**changes: Any) -> dict[str, Any]:
    tables = {"name": "a", "seed": 1, "class": "b", "pulse": {"shape": "sine", "period": "1 s"}}
    return tables | {"training": {"tolerance": "5 %", "amplitude": "1 V"}} | changes


def told(**changes: Any) -> list[str]:
    with pytest.raises(BadConfig) as caught:
        build(good(**changes), Experiment, "x")
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_a_good_file_gives_si_floats(file: Path) -> None:
    file.write_text(GOOD)
    read = read_toml(file, Experiment)
    assert read.board == "sim_backend.ngspice:NgspiceBoard"
    assert read.dopant == "Cr"
    assert read.pulse == Sine(shape="sine", period="50 us")  # type: ignore[arg-type]
    assert read.training.model_dump() == {
        "tolerance": 0.05,
        "amplitude": 1.2,
        "longest": 1e-3,
        "cap": 3e-9,
        "steps": (-0.1, 0.3),
    }
    assert read.sites["a1"].amplitude == -0.7
    assert read.pulses[0].width == 5e-6


def test_fault_53_every_mistake_is_told_at_once_in_plain_words(file: Path) -> None:
    assert refusal(file, BAD) == TOLD


def test_a_model_dumped_as_json_and_built_again_is_equal(file: Path) -> None:
    file.write_text(GOOD)
    read = read_toml(file, Experiment)
    stored = dump(read)
    assert stored["training"] == {
        "tolerance": "5 %",
        "amplitude": "1.2 V",
        "longest": "1 ms",
        "cap": "3 nJ",
        "steps": ["-100 mV", "300 mV"],
    }
    assert build(json.loads(json.dumps(stored, allow_nan=False)), Experiment, "config.json") == read


class Everything(Section):
    volts: Volts
    amps: Amps
    seconds: Seconds
    ohms: Ohms
    fraction: Fraction


SIGNED = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@given(st.tuples(SIGNED, SIGNED, POSITIVE, POSITIVE, st.floats(min_value=0, max_value=1)))
def test_every_float_survives_storing(values: tuple[float, ...]) -> None:
    stored = Everything.model_construct(**dict(zip(Everything.model_fields, values, strict=True)))
    again = build(json.loads(json.dumps(dump(stored))), Everything, "x")
    assert tuple(again.model_dump().values()) == values


def test_what_was_read_cannot_be_changed() -> None:
    read = build(good(), Experiment, "x")
    with pytest.raises(ValidationError, match="frozen"):
        read.seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"\xff\xfen\0a\0", "exp.toml is UTF-16"),
        (b"\xef\xbb\xbfname = 1", "exp.toml begins with a byte-order mark"),
        (b"n\0a\0m\0e\0", "exp.toml has a NUL byte: it is UTF-16 or no text at all"),
        (b"a = 1\nb = '\xb5s'", "exp.toml is not UTF-8: byte 0xb5 in line 2"),
    ],
)
def test_fault_53_other_encodings_are_named(file: Path, contents: bytes, message: str) -> None:
    assert refusal(file, contents) == f"{message}\n  what to do: save it as UTF-8, without a byte-order mark"


def test_fault_53_what_is_not_toml_is_refused_with_its_place(file: Path) -> None:
    assert re.fullmatch(r"exp\.toml is not TOML: .*line 2, column 5.*", refusal(file, "a = 1\nb = = 2"))
    assert "A key is given twice (at line 2, column 6)" in refusal(file, "a = 1\na = 2\nb = 3")
    assert "exp.toml is not TOML" in refusal(file, "a = " + "1" * 5000)
    assert "exp.toml is not TOML" in refusal(file, GOOD[: len(GOOD) // 3])
    assert refusal(file, "").splitlines() == [
        "exp.toml: 5 mistakes",
        "  name: missing; allowed: text in quotes",
        "  seed: missing; allowed: a whole number",
        "  class: missing; allowed: text in quotes",
        "  training: missing; allowed: a table",
        "  pulse: missing; allowed: a table",
    ]


def test_fault_53_what_is_nested_too_deeply_is_refused(file: Path) -> None:
    assert refusal(file, "a = " + "[" * 100_000) == "exp.toml is nested too deeply"
    assert refusal(file, "a." * 999 + "a = 1") == "exp.toml is nested too deeply"
    assert refusal(file, "\n" + "a." * 2000 + "a = 1") == "exp.toml has more than 1000 points in line 2"


def test_fault_53_what_is_no_small_file_is_refused(file: Path, tmp_path: Path) -> None:
    assert refusal(file, "#" * (LARGEST + 1)).startswith(f"exp.toml is larger than {LARGEST} bytes")
    for path, message in [
        (tmp_path, "is not a file"),
        (Path("/dev/zero"), "is not a file"),
        (Path("absent.toml"), "absent.toml cannot be read: No such file or directory"),
        (Path("a\0b"), "a\\x00b is no path"),
    ]:
        with pytest.raises(BadConfig, match=re.escape(message)):
            read_toml(path, Experiment)


def test_fault_53_a_file_of_mistakes_gives_a_message_that_can_be_read(file: Path) -> None:
    lines = refusal(file, "\n".join(f"key{number} = 1" for number in range(20_000))).splitlines()
    assert len(lines) == MOST_TOLD + 2
    assert lines[0] == "exp.toml: 20005 mistakes"
    assert lines[-1] == f"  and {20_005 - MOST_TOLD} more"


def test_fault_36_limits_that_are_nan_negative_or_without_a_unit_are_refused() -> None:
    limit = 'allowed: one number and V, for example "0.5 V"; before V may stand one of f p n u m k M G'

    class Limits(Section):
        volts: PositiveVolts

    for found, message in [
        (math.nan, f'"nan" is not a finite number; {limit}'),
        (math.inf, f'"inf" is not a finite number; {limit}'),
        ("nan V", f'"nan V" is not a finite number; {limit}'),
        ("-1 V", "-1 V; allowed: more than 0 V"),
        ("0 V", "0 V; allowed: more than 0 V"),
        (1, '1 has no unit: write "1 V"'),
        (None, 'None is no quantity; allowed: a voltage, for example "0.5 V"'),
        (1 << 20_000, None),
    ]:
        with pytest.raises(BadConfig) as caught:
            build({"volts": found}, Limits, "x")
        assert message is None or str(caught.value) == f"x: 1 mistake\n  volts: {message}"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": "7"}, 'seed: "7"; allowed: a whole number'),
        ({"seed": True}, "seed: true; allowed: a whole number"),
        ({"seed": 7.0}, "seed: 7.0; allowed: a whole number"),
        ({"seed": -1}, "seed: -1; allowed: greater than or equal to 0"),
        ({"gain": "2"}, 'gain: "2"; allowed: a number'),
        ({"gain": math.inf}, "gain: inf; allowed: a finite number"),
        ({"class": 3}, "class: 3; allowed: text in quotes"),
        ({"class": 1 << 20_000}, f"class: 0x1{'0' * 57}; allowed: text in quotes"),
        ({"training": 3}, "training: 3; allowed: a table"),
        ({"pulses": {}}, "pulses: a table; allowed: an array"),
        ({"sites": []}, "sites: an array; allowed: a table"),
        ({"sites": {"a b": 1}}, 'sites."a b": 1; allowed: a table'),
        (
            {"training": {"tolerance": "5 %", "amplitude": "1 V", "steps": ["2 V", "1 V"]}},
            "training: steps must rise",
        ),
        (
            {"pulse": {"shape": "round"}},
            'pulse: a table; allowed: Input tag "round" found using "shape" '
            'does not match any of the expected tags: "square", "sine"',
        ),
        ({"class": "x" * 99, "seed": "\x1b[31m\u202e"}, 'seed: "\\x1b[31m\\u202e"; allowed: a whole number'),
    ],
)
def test_nothing_is_converted_on_the_quiet(changes: dict[str, Any], line: str) -> None:
    assert told(**changes) == [line]


@pytest.mark.parametrize("name", ["a", "run-1.2_b", "0", "-", "x" * 64, "console", "com", "aux1"])
def test_names(name: str) -> None:
    assert build(good(name=name), Experiment, "x").name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".git",
        "a/b",
        "/etc/x",
        "a\\b",
        "C:",
        "a b",
        "a\n",
        "a\0",
        "x" * 65,
        "\u202ea",
        "é",
        "٣",
    ],
)
def test_fault_56_names_that_are_no_names(name: str) -> None:
    (line,) = told(name=name)
    assert line.startswith("name: ")
    assert "is no name; allowed: 1 to 64 of" in line


@pytest.mark.parametrize("name", ["CON", "con", "nul.txt", "Com1", "lpt9.x"])
def test_fault_56_names_of_devices_are_no_names(name: str) -> None:
    assert told(name=name)[0].startswith(f'name: "{name}" is no name')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"a=" + b"[" * 5000)
@example(b"\xed\xa0\x80=1")
def test_fault_53_random_bytes_are_a_bad_config(file: Path, contents: bytes) -> None:
    assert is_plain(refusal(file, contents))


KEYS = st.sampled_from([*Experiment.model_fields, "class", "sed", "shape", "tolerance"]) | st.text(max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["5 %", "1 V", "sine"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_fault_53_random_tables_are_a_model_or_a_bad_config(changes: dict[str, Any]) -> None:
    try:
        read = build(good(**changes), Experiment, "x")
    except BadConfig as error:
        message = str(error)
    else:
        message = ""
        assert build(dump(read), Experiment, "x") == read
    assert is_plain(message)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(min_value=0, max_value=len(GOOD) - 1), st.integers(min_value=0, max_value=255))
def test_fault_53_one_wrong_byte_is_a_model_or_a_bad_config(file: Path, place: int, byte: int) -> None:
    contents = GOOD.encode()
    file.write_bytes(contents[:place] + bytes([byte]) + contents[place + 1 :])
    try:
        read_toml(file, Experiment)
    except BadConfig as error:
        message = str(error)
    else:
        message = ""
    assert is_plain(message)


def test_fault_36_a_bound_is_allowed_and_what_is_beyond_it_is_not() -> None:
    class Bounds(Section):
        volts: Annotated[float, Quantity("V", least=-2, most=2)]
        fraction: PositiveFraction

    assert build({"volts": "2 V", "fraction": "100 %"}, Bounds, "x").model_dump() == {
        "volts": 2,
        "fraction": 1,
    }
    assert build({"volts": "-2 V", "fraction": "1e-9 %"}, Bounds, "x").volts == -2
    with pytest.raises(BadConfig) as caught:
        build({"volts": "2.0000000000000004 V", "fraction": "100.00000000000002 %"}, Bounds, "x")
    assert str(caught.value).count("allowed: ") == 2
