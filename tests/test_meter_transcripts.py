"""What each source meter with SCPI says: recorded, agreed, replayed, held against its own table."""

import re
from pathlib import Path

import numpy as np
import pytest

from drivers import keithley2400, keithley2450, keysight_b2900
from tests.source_meters import KINDS, TRANSCRIPTS, built, lines, recorded, session

every_kind = pytest.mark.parametrize("name", KINDS)

LANGUAGES = {
    "keithley2400": (keithley2400, keithley2400.Keithley2400Language),
    "keithley2450": (keithley2450, keithley2450.Keithley2450Language),
    "keysight_b2900": (keysight_b2900, keysight_b2900.KeysightB2900Language),
}
SHARED = {
    "keithley2400": ":SYST:LFR :SENS:FUNC :TRIG:DEL :ROUT:TERM :SOUR:VOLT :SYST:ERR",
    "keithley2450": ":SYST:LFR :SENS:FUNC :ROUT:TERM :SOUR:VOLT :SYST:ERR *WAI :SOUR:LIST:VOLT",
    "keysight_b2900": ":SYST:LFR :SENS1:FUNC :SOUR1:VOLT :SYST:ERR *WAI"
    " :TRIG1:TRAN:COUN :TRIG1:ACQ:COUN :STAT:OPER:COND",
}
"""Words that are made of parts, which no table can hold whole."""


@every_kind
def test_a_session_is_byte_for_byte_the_one_that_was_agreed(name: str, tmp_path: Path) -> None:
    recorded(name, tmp_path / "now.txt")
    assert lines(tmp_path / "now.txt") == lines(TRANSCRIPTS / f"{name}.txt")


@every_kind
def test_the_agreed_session_replays(name: str, tmp_path: Path) -> None:
    told = recorded(name, tmp_path / "now.txt")
    replayed = session(built(KINDS[name][0], f"replay:{TRANSCRIPTS / name}.txt"), lambda: None)
    assert len(replayed) == len(told) > 5
    for one, other in zip(told, replayed, strict=True):
        assert np.array_equal(one.amps, other.amps)


@every_kind
def test_what_is_said_is_what_the_table_of_the_driver_has(name: str) -> None:
    module, language = LANGUAGES[name]
    blocks = getattr(module, "TRIGGER_MODEL", ())
    told = " ".join([str(module.__doc__), *language.WORDS, *map(str, vars(language).values()), *blocks])
    for line in lines(TRANSCRIPTS / f"{name}.txt"):
        if line.startswith("> "):
            for command in re.split(r";(?=[:*])", line[2:]):
                header = command.partition(" ")[0].removesuffix("?")
                assert header in f"{told} {SHARED[name]}", header
