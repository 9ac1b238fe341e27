"""Programs that die while a guarded lamp is on: the light goes out, whatever they die of.

LABCTL_DEATHS sets how often each way is tried: 3 unless told, 100 for the figure in
docs/decisions/0016-the-guard.md.
"""

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.guard.client import LEASE_SECONDS
from labctl.places import SHARED_VARIABLE
from tests import dying_bench
from tests.dying import GONE, HANGING, WAYS
from tests.lamp import Light

DEATHS = int(os.environ.get("LABCTL_DEATHS", "3"))
ROOT = Path(__file__).resolve().parent.parent
ENDED = {"SIGTERM": 15, "SIGHUP": 1, "SIGKILL": 9, "forked": 9, "segfault": 11}
PROGRAM = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may have set it aside
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from tests.dying import guarded
from tests.lamp import PULSE
with guarded(Path(sys.argv[1]), hold="20 ms") as board:
    while True:
        board.apply([PULSE] * 50)
"""


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    shared = str(tmp_path_factory.mktemp("shared"))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.dying", str(DEATHS), str(LEASE_SECONDS)],
        cwd=ROOT,
        env={**os.environ, SHARED_VARIABLE: shared},
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 30 * DEATHS,
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("way", WAYS)
def test_fault_40_a_program_dies_and_the_light_is_off(way: str, trials: list[dict[str, Any]]) -> None:
    mine = [row for row in trials if row["way"] == way]
    assert len(mine) == DEATHS
    for row in mine:
        assert row["off"], row
        assert row["still off"], row
        assert row["left"] == [], row
        if way in ENDED:
            assert row["ended"] & 0x7F == ENDED[way], row


@pytest.mark.parametrize("way", dying_bench.WAYS)
def test_fault_40_a_program_dies_and_an_emulated_source_is_off(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SHARED_VARIABLE, str(tmp_path))
    ended = subprocess.run(
        [sys.executable, "-m", "tests.dying_bench", str(DEATHS), way],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 30 * DEATHS,
    )
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(row["way"], row["lit"], row["off"]) for row in found] == [(way, True, True)] * DEATHS


@pytest.mark.parametrize("way", HANGING)
def test_fault_41_a_program_hangs_and_is_told_when_it_comes_back(
    way: str, trials: list[dict[str, Any]]
) -> None:
    for row in trials:
        if row["way"] == way:
            assert os.waitstatus_to_exitcode(row["ended"]) == GONE, row
            assert row["seconds"] < LEASE_SECONDS + 1.0, row  # the figure is the benchmark's


# ---- at a terminal --------------------------------------------------------------------------


@pytest.fixture
def light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Light]:
    monkeypatch.setenv(SHARED_VARIABLE, str(tmp_path / "shared"))
    lamp = Light(tmp_path / "light")
    yield lamp
    lamp.close()


def lit(lamp: Light) -> None:
    deadline = time.monotonic() + 30.0
    while not lamp.on:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_fault_39_impatience_is_harmless(tmp_path: Path, light: Light) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "light")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as program:
        lit(light)
        for _ in range(11):
            if program.poll() is None:
                program.send_signal(signal.SIGINT)
            time.sleep(0.05)
        try:
            _, told = program.communicate(timeout=30)
        finally:
            program.kill()  # harmless where it has ended, as it should have
    assert b"KeyboardInterrupt" in told
    assert program.returncode == -signal.SIGINT
    assert not light.on
    assert (light.times_off, list((tmp_path / "shared").iterdir())) == (1, [])


def test_fault_43_ctrl_c_at_a_terminal_reaches_the_program_and_not_the_guard(
    tmp_path: Path, light: Light
) -> None:
    ours, theirs = pty.openpty()

    def take_the_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "light")],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_the_terminal,  # noqa: PLW1509 - it has no threads yet
    )
    os.close(theirs)
    lit(light)
    (note,) = (tmp_path / "shared").glob("*.json")
    guard = json.loads(note.read_text())["pid"]
    assert os.getsid(guard) != os.getsid(program.pid)
    os.write(ours, b"\x03")
    told = b""
    try:
        while select.select([ours], [], [], 30.0)[0] and (chunk := os.read(ours, 4096)):
            told += chunk
    except OSError:  # nobody has the other end any more
        pass
    os.close(ours)
    assert program.wait(timeout=30) == -signal.SIGINT
    assert b"KeyboardInterrupt" in told
    assert b"BoardGone" not in told  # the guard was there to the end
    assert not light.on


def test_fault_40_a_terminal_that_is_closed(tmp_path: Path, light: Light) -> None:
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "light")],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(theirs)
    lit(light)
    os.close(ours)
    assert program.wait(timeout=30) == -signal.SIGHUP
    deadline = time.monotonic() + 5.0
    while light.on:
        assert time.monotonic() < deadline
