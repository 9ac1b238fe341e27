"""One process to an instrument: the kernel says who, and frees what a dead one held."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InUse, Refused, Unavailable
from labctl.ownership import Holding, holder

HOLD = """
import sys, time
from labctl.ownership import Holding
holding = Holding(sys.argv[1], sys.argv[2]).take()
{then}
print("held", flush=True)
time.sleep(60)
"""
FORK = """
import os
if os.fork() == 0:
    print("forked", os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABCTL_SHARED", str(tmp_path / "shared"))
    return tmp_path / "shared"


@contextmanager
def another(identity: str, what: str = "", then: str = "") -> Generator[subprocess.Popen[str]]:
    """Another process that holds the instrument."""
    script = [sys.executable, "-c", HOLD.format(then=then), identity, what]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_held(process: subprocess.Popen[str]) -> list[str]:
    """The words that it said until then."""
    assert process.stdout is not None
    words: list[str] = []
    while "held" not in words:
        line = process.stdout.readline()
        assert line
        words += line.split()
    return words


def test_fault_44_the_second_process_is_refused_and_told_who_has_it() -> None:
    with another("KEITHLEY 2450 04419556", "board smu of bench.toml") as process:
        wait_until_held(process)
        with pytest.raises(InUse) as raised, Holding("KEITHLEY 2450 04419556"):
            pytest.fail("two have it")
        assert isinstance(raised.value, Refused)
        said = str(raised.value)
        assert f"process {process.pid} of " in said
        assert "board smu of bench.toml" in said
        assert os.uname().nodename in said
        assert str(process.pid) in (holder("KEITHLEY 2450 04419556") or "")
        with Holding("KEITHLEY 2450 04419557"):
            pass


def test_fault_44_what_a_killed_process_held_is_free_within_a_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with another("an instrument") as process:
        wait_until_held(process)
        began = time.monotonic()
        process.kill()
        while True:
            try:
                holding = Holding("an instrument").take()
                break
            except InUse:
                assert time.monotonic() < began + 1.0
        took = time.monotonic() - began
        holding.release()
    with capsys.disabled():
        sys.stdout.write(f" [held again {1e3 * took:.1f} ms after kill -9] ")
    assert took < 1.0


def test_fault_44_a_forked_child_does_not_keep_it() -> None:
    with another("an instrument", then=FORK) as process:
        words = wait_until_held(process)
        while "forked" not in words:
            assert process.stdout is not None
            words += process.stdout.readline().split()
        child = int(words[words.index("forked") + 1])
        try:
            with pytest.raises(InUse):
                Holding("an instrument").take()
            process.kill()
            process.wait()
            os.kill(child, 0)  # it is alive
            with Holding("an instrument"):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_two_boards_of_one_process_cannot_have_one_instrument() -> None:
    with Holding("an instrument", "the first") as first:
        assert first.take() is first
        with pytest.raises(InUse, match=f"process {os.getpid()} .*the first"):
            Holding("an instrument").take()
        assert "the first" in (holder("an instrument") or "")
    assert holder("an instrument") is None
    first.release()
    with first:
        assert holder("an instrument") is not None


def test_another_thread_may_give_it_back() -> None:
    holding = Holding("an instrument").take()
    thread = threading.Thread(target=holding.release)
    thread.start()
    thread.join()
    with Holding("an instrument"):
        pass


def test_a_child_gives_nothing_back() -> None:
    holding = Holding("an instrument").take()
    child = os.fork()
    if child == 0:
        holding.release()
        os._exit(0)
    os.waitpid(child, 0)
    assert str(os.getpid()) in (holder("an instrument") or "")
    holding.release()


def test_the_note_of_a_dead_holder_is_not_believed(locks: Path) -> None:
    with another("an instrument") as process:
        wait_until_held(process)
    assert list(locks.glob("*.json"))
    assert holder("an instrument") is None
    with Holding("an instrument"):
        note = next(locks.glob("*.json"))
        told = json.loads(note.read_text())
        assert told["process"] == os.getpid()
        note.write_text(json.dumps(told | {"process": process.pid}))
        assert holder("an instrument") == "another process"


@pytest.mark.parametrize(
    "note", ["", "{", "[]", "1", '{"process": "x"}', "[" * 4000, '{"process": 1e999}', "\udcff"]
)
def test_a_damaged_note_only_says_less(locks: Path, note: str) -> None:
    with Holding("an instrument"):
        next(locks.glob("*.json")).write_text(note, errors="surrogateescape")
        assert holder("an instrument") == "another process"
        with pytest.raises(InUse, match="another process"):
            Holding("an instrument").take()


def test_a_note_cannot_write_on_the_terminal() -> None:
    with Holding("an instrument", "\x1b[2J evil \u202e"):
        said = holder("an instrument") or ""
        assert "evil" in said
        assert said.isprintable()


@pytest.mark.parametrize(
    "identity",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/dev/ttyUSB0",
        "a\x00b",
        "CON",
        "x" * 5000,
        "\U0001f600\udcff",
        "a/b\\c:d",
        "\n",
    ],
)
def test_any_name_can_be_held(locks: Path, identity: str) -> None:
    with Holding(identity), pytest.raises(InUse):
        Holding(identity).take()
    assert holder(identity) is None
    assert all(path.parent == locks for path in locks.rglob("*"))


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_names_are_two_instruments(
    tmp_path_factory: pytest.TempPathFactory, one: str, other: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABCTL_SHARED", str(tmp_path_factory.mktemp("locks")))
        with Holding(one):
            if one == other:
                with pytest.raises(InUse):
                    Holding(other).take()
            else:
                Holding(other).take().release()


def test_where_no_lock_can_be_made_nothing_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "folder", Path("/proc/nowhere")):
        monkeypatch.setenv("LABCTL_SHARED", str(folder))
        with pytest.raises(Unavailable, match="cannot be known"):
            Holding("an instrument").take()


def test_everybody_may_take_what_another_left(locks: Path) -> None:
    with Holding("an instrument"):
        pass
    lock = next(locks.glob("*.lock"))
    assert lock.stat().st_mode & 0o666 == 0o666


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("tcp://127.0.0.1:5025", "tcp://localhost:5025"),
        ("serial:///dev/null?baud=9600", "serial:///dev/../dev/null?baud=57600&boot=2"),
        ("GPIB::9::INSTR", "gpib0::9::instr"),
    ],
)
def test_fault_44_an_address_by_another_name_is_the_same_instrument(one: str, other: str) -> None:
    with Holding(one), pytest.raises(InUse):
        Holding(other).take()
    with Holding(one), Holding("tcp://127.0.0.1:5026"), Holding("GPIB0::10::INSTR"):
        assert holder(other) is not None
