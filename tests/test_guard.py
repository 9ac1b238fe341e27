"""A board in a process of its own: the same board, except that it outlives whoever uses it."""

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from labctl.bench import Bench
from labctl.board import Board
from labctl.contract import LAWS, Outcome, examine
from labctl.errors import (
    BadConfig,
    BoardFault,
    BoardGone,
    BoardHung,
    LimitExceeded,
    Misbehaved,
    NoConvergence,
    Outputs,
    Refused,
    Unavailable,
)
from labctl.guard import Guarded, Guarding, client, process, registry, wire
from labctl.making import Ready, board_class, board_of
from labctl.places import SHARED_VARIABLE
from labctl.pulse import Pulse, Purpose, Trace
from tests.boards import NullBoard
from tests.dying import guarded
from tests.lamp import PULSE, Lamp, Light

LIST = [PULSE] * 5


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shared"
    monkeypatch.setenv(SHARED_VARIABLE, str(folder))
    return folder


@pytest.fixture
def light(tmp_path: Path) -> Iterator[Light]:
    lamp = Light(tmp_path / "light")
    yield lamp
    lamp.close()


def lamp(tmp_path: Path, trouble: str = "", **patience: Any) -> Guarded:
    return guarded(tmp_path / "light", trouble=trouble, **patience)


def pid_of(board: Guarded) -> int:
    assert board._guard is not None
    return board._guard._child.pid


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def notes(shared: Path) -> list[str]:
    return sorted(path.name for path in shared.glob("*"))


# ---- the same board -------------------------------------------------------------------------


def test_a_guarded_board_answers_as_the_board_does(tmp_path: Path) -> None:
    longer = Pulse(PULSE.seconds * 3, PULSE.volts * 2, PULSE.driven, Purpose.PROGRAM, repeats=4)
    with NullBoard() as board, lamp(tmp_path) as other:
        assert other.spec == board.spec
        for pulses in ([PULSE], [PULSE, longer], [], [longer] * 2000):
            for mine, theirs in zip(board.apply(pulses), other.apply(pulses), strict=True):
                for name in Trace.__dataclass_fields__:
                    assert repr(getattr(mine, name)) == repr(getattr(theirs, name))


def test_it_keeps_the_laws_that_the_board_keeps(tmp_path: Path) -> None:
    laws = [law for law in LAWS if law.__module__.endswith(".seam")][:6]
    verdicts = [
        [(one.law, one.outcome) for one in examine(board, laws)] for board in (NullBoard(), lamp(tmp_path))
    ]
    assert verdicts[0] == verdicts[1]
    assert sum(outcome is Outcome.KEPT for _, outcome in verdicts[0]) > 3


def test_it_lives_from_entering_to_leaving(tmp_path: Path, light: Light, shared: Path) -> None:
    board = lamp(tmp_path)
    for _ in range(2):
        with board:
            assert pid_of(board) != os.getpid()
            board.apply(LIST)
            assert light.on
            assert len(notes(shared)) == 2
        assert not light.on
        assert notes(shared) == []
    assert light.times_off == 2


def test_make_safe_may_be_asked_at_any_time(tmp_path: Path, light: Light) -> None:
    board = lamp(tmp_path)
    with board:
        board.apply(LIST)
        assert board.make_safe() is Outputs.OFF
        assert not light.on
        board.apply(LIST)
    light.switch(on=True)
    assert board.make_safe() is Outputs.OFF  # nobody has it open: a guard opens it for just that
    assert not light.on


def test_only_a_board_that_can_say_whether_it_is_ready_does(tmp_path: Path) -> None:
    board = lamp(tmp_path)
    assert isinstance(board, Ready)
    assert board.ready().startswith("a lamp in process ")
    assert str(os.getpid()) not in board.ready().split()
    null = Guarded(NullBoard(), Guarding("tests.lamp:Null", {}, "test"))
    assert not isinstance(null, Ready)


def test_a_bench_guards_what_is_there(tmp_path: Path) -> None:
    def board(kind: str, more: str = "") -> Board:
        text = f'class = "tests.lamp:Lamp"\nkind = "{kind}"\n[board]\nlight = "{{run}}/light"\n{more}'
        (tmp_path / "bench.toml").write_text(text)
        return Bench.read(tmp_path / "bench.toml").board(tmp_path)

    kinds = {kind: isinstance(board(kind), Guarded) for kind in ("board", "emulator", "sim", "replay")}
    assert kinds == {"board": True, "emulator": True, "sim": False, "replay": False}
    assert isinstance(board("sim", "[guard]\nenabled = true"), Guarded)
    assert isinstance(board("board", "[guard]\nenabled = false"), Lamp)
    with pytest.raises(BadConfig, match="at least 50 ms"):
        board("board", '[guard]\nlease = "1 ms"')
    with pytest.raises(BadConfig, match="hold"):
        board("board", 'hold = "1 V"')
    with board("board", '[guard]\nlease = "0.5 s"') as guarded_board:
        guarded_board.apply(LIST)
        (note,) = registry.notes()
        assert (note.bench, note.board) == (str(tmp_path / "bench.toml"), "null")
        assert Light(tmp_path / "light").on


# ---- errors ---------------------------------------------------------------------------------


def test_an_error_of_the_board_crosses_with_all_it_has(tmp_path: Path, light: Light) -> None:
    with lamp(tmp_path, "fault") as board:
        with pytest.raises(BoardFault) as caught:
            board.apply(LIST)
        error = caught.value
        assert (error.wrong, error.allowed, error.saved, error.todo) == (
            "it smells",
            "fresh air",
            "nothing",
            "open a window",
        )
        assert (error.outputs, len(error.traces), light.on) == (Outputs.OFF, 2, False)
        assert len(board.apply([PULSE])) == 1  # and it goes on


def test_an_error_that_is_none_of_ours_is_the_boards_fault(tmp_path: Path, light: Light) -> None:
    with lamp(tmp_path, "foreign") as board, pytest.raises(BoardFault, match=r"ValueError: what\?") as caught:
        board.apply(LIST)
    assert (caught.value.outputs, len(caught.value.traces), light.on) == (Outputs.OFF, 2, False)


@pytest.mark.parametrize(
    "error",
    [
        Refused("no", allowed="yes", todo="ask"),
        Unavailable("not there", outputs=Outputs.OFF),
        NoConvergence("no solution", outputs=Outputs.ON, saved="all"),
        BoardGone("gone", traces=NullBoard().__enter__().apply(LIST)),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: Any) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(wire.failed(error))
        kind, parts = wire.receive(far, lambda: None)
    other: Any = wire.error_of(parts)
    assert kind == wire.Kind.FAILED
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert len(getattr(other, "traces", ())) == len(getattr(error, "traces", ()))


def test_a_class_that_only_a_driver_knows_becomes_the_nearest_known() -> None:
    class NoNumber(NoConvergence):
        pass

    near, far = socket.socketpair()
    with near, far:
        near.sendall(wire.failed(NoNumber("9.9E37")))
        assert type(wire.error_of(wire.receive(far, lambda: None)[1])) is NoConvergence


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 10, b"\xff" * 64, wire.frame(wire.Kind.DONE, [b"x"]) + b"x", b"\0" * 16 + b"\1"]
)
def test_what_is_no_frame_is_the_end(data: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        near.sendall(data)
        near.close()
        with pytest.raises(EOFError):
            wire.receive(far, lambda: None)


def test_what_must_not_be_driven_is_refused_and_the_board_stays_open(tmp_path: Path, light: Light) -> None:
    wild = Pulse(PULSE.seconds, PULSE.volts * 1000, PULSE.driven, PULSE.purpose)
    with lamp(tmp_path) as board:
        with pytest.raises(LimitExceeded):
            board.apply([PULSE, wild])
        assert not light.on
        assert len(board.apply(LIST)) == 5


def test_a_board_that_refuses_to_open_says_so_itself(tmp_path: Path, shared: Path) -> None:
    board = lamp(tmp_path, "refuse")
    with pytest.raises(Refused) as caught:
        board.__enter__()
    assert type(caught.value) is Refused
    assert (caught.value.wrong, caught.value.todo) == ("the lamp has no bulb", "screw one in")
    assert notes(shared) == []
    with pytest.raises(Refused, match="not open"):
        board.apply(LIST)


def test_a_class_that_the_guard_cannot_have_is_unavailable(tmp_path: Path) -> None:
    board = Guarded(NullBoard(), Guarding("no_such_module:Board", {}, "test"))
    with pytest.raises(Unavailable, match="no_such_module"):
        board.__enter__()


def test_a_guard_that_makes_another_board_is_noticed(tmp_path: Path) -> None:
    table = {"layout": "selector", "columns": 2}
    kind = board_class("sim_backend.compact:CompactBoard", "test")
    board = Guarded(
        board_of(kind, table, "test"),
        Guarding("sim_backend.compact:CompactBoard", table | {"columns": 3}, "test"),
    )
    with pytest.raises(BoardFault, match="another"):
        board.__enter__()


def test_settings_that_cannot_be_told_are_refused() -> None:
    board = Guarded(NullBoard(), Guarding("tests.lamp:Null", {"x": object()}, "test"))
    with pytest.raises(Refused, match="cannot be told"):
        board.__enter__()


def test_without_a_place_for_its_note_a_guard_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(SHARED_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(Unavailable, match="note") as caught:
        lamp(tmp_path).__enter__()
    assert SHARED_VARIABLE in caught.value.allowed


# ---- the guard dies -------------------------------------------------------------------------


def gone(board: Board) -> BoardGone:
    with pytest.raises(BoardGone) as caught:
        board.apply(LIST)
    assert "open the board again" in caught.value.todo
    return caught.value


def test_fault_40_a_crash_of_the_driver_is_an_error_of_the_board(
    tmp_path: Path, light: Light, shared: Path
) -> None:
    board = lamp(tmp_path, "crash")
    with board:
        error = gone(board)
        assert "was killed by SIGSEGV" in error.wrong
        assert error.outputs is Outputs.OFF
        assert not light.on
        assert gone(board).outputs is Outputs.OFF  # it must be opened anew
        assert notes(shared) == []
    with board:
        assert len(board.apply([PULSE])) == 1


def test_fault_42_the_guard_is_killed(tmp_path: Path, light: Light, shared: Path) -> None:
    board = lamp(tmp_path, hold="20 ms")
    with board:
        board.apply([PULSE])
        assert light.on
        os.kill(pid_of(board), signal.SIGKILL)
        error = gone(board)
        assert "was killed by SIGKILL" in error.wrong
        assert (error.outputs, light.on) == (Outputs.OFF, False)
        assert board.make_safe() is Outputs.OFF
    with board:
        killer = threading.Timer(0.1, os.kill, (pid_of(board), signal.SIGKILL))
        killer.start()
        with pytest.raises(BoardGone) as caught:
            board.apply([PULSE] * 100)
        killer.join()
        assert (caught.value.outputs, light.on) == (Outputs.OFF, False)
    assert notes(shared) == []


def test_fault_42_outputs_of_a_killed_guard_that_nobody_can_switch_off_are_unknown(
    tmp_path: Path, light: Light, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_RESCUE_SECONDS", (0.0, 0.1))
    board = lamp(tmp_path)
    board.__enter__()
    board.apply(LIST)
    (tmp_path / "light").unlink()  # its board can be opened no more
    (tmp_path / "light").mkdir()
    os.kill(pid_of(board), signal.SIGKILL)
    assert gone(board).outputs is Outputs.UNKNOWN
    board.__exit__(None, None, None)
    (note,) = registry.notes()
    assert not registry.alive(note)  # it stays: `labctl stop` will say so
    assert light.on


def test_a_guard_that_hangs_is_killed_and_the_board_made_safe(
    tmp_path: Path, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SILENT_SECONDS", 1.5)
    with lamp(tmp_path, "hang") as board:
        with pytest.raises(BoardHung) as caught:
            board.apply(LIST)
        assert (caught.value.outputs, light.on) == (Outputs.OFF, False)


def test_fault_21_a_driver_that_does_not_come_back_hangs_though_its_guard_lives(
    tmp_path: Path, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE_SECONDS", 1.0)
    with lamp(tmp_path, "stuck", stuck="60 s") as board:
        with pytest.raises(BoardHung) as caught:
            board.apply(LIST)
        assert (caught.value.outputs, light.on) == (Outputs.OFF, False)


def test_sigterm_tells_a_guard_to_make_safe_and_the_terminals_signals_tell_it_nothing(
    tmp_path: Path, light: Light
) -> None:
    with lamp(tmp_path) as board:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
            os.kill(pid_of(board), number)
        assert len(board.apply(LIST)) == 5
        assert light.on
        os.kill(pid_of(board), signal.SIGTERM)
        assert soon(lambda: not light.on)
        error = gone(board)
        assert "SIGTERM" in error.wrong
        assert error.outputs is Outputs.OFF


# ---- the lease ------------------------------------------------------------------------------


def test_a_lost_lease_is_told_and_the_board_must_be_opened_anew(
    tmp_path: Path, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = lamp(tmp_path, lease=0.3)
    with board:
        board.apply(LIST)
        with monkeypatch.context() as patch:
            patch.setattr(process._Beats, "beat", lambda self: False)
            assert soon(lambda: not light.on)
        error = gone(board)
        assert "lease lost" in error.wrong
        assert "0.3 s" in error.wrong
        assert error.outputs is Outputs.OFF
        assert "lease lost" in gone(board).wrong
    with board:
        assert len(board.apply(LIST)) == 5


def test_a_client_that_reads_no_more_holds_nobody_up(
    tmp_path: Path, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lamp(tmp_path, lease=0.5) as board:
        assert board._guard is not None
        board._guard._link.sendall(wire.asked([PULSE] * 20_000))  # and nobody reads megabytes of traces
        assert soon(lambda: light.on)
        monkeypatch.setattr(process._Beats, "beat", lambda self: False)
        assert soon(lambda: not light.on)
        monkeypatch.undo()


def test_fault_41_a_machine_that_slept_has_lost_its_lease(
    tmp_path: Path, light: Light, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = (
        "import labctl.guard.watch as watch, time; began = time.monotonic();"
        "watch._asleep = lambda: 0.0 if time.monotonic() - began < 1.0 else 60.0; from"
    )
    monkeypatch.setattr(process, "_PROGRAM", process._PROGRAM.replace("from", asleep, 1))
    with lamp(tmp_path) as board:
        board.apply(LIST)
        assert light.on
        assert soon(lambda: not light.on)
        assert "lease lost" in gone(board).wrong


def test_idle_outputs_are_switched_off_and_on_again(tmp_path: Path, light: Light) -> None:
    with lamp(tmp_path, idle=0.2) as board:
        for times in (1, 2):
            board.apply(LIST)
            assert soon(lambda: not light.on)
            assert light.times_off == times
            time.sleep(0.5)
            assert light.times_off == times


@pytest.mark.parametrize("trouble", ["stuck", "deaf"])
def test_the_watch_makes_safe_when_the_driver_does_not_come(
    trouble: str, tmp_path: Path, light: Light
) -> None:
    board = lamp(tmp_path, trouble, stuck="20 s")
    board.__enter__()
    guard = board._guard
    assert guard is not None
    threading.Timer(0.3, guard._link.shutdown, (socket.SHUT_RDWR,)).start()
    with pytest.raises(BoardGone) as caught:
        board.apply(LIST)
    assert (caught.value.outputs, light.on) == (Outputs.OFF, False)
    assert "the watch does" in caught.value.wrong
    board.__exit__(None, None, None)


# ---- what is not confirmed ------------------------------------------------------------------


def test_what_is_not_confirmed_is_unknown_and_is_told(tmp_path: Path, light: Light, shared: Path) -> None:
    board = lamp(tmp_path, "unknown")
    board.__enter__().apply(LIST[:2])
    assert board.make_safe() is Outputs.UNKNOWN
    with pytest.raises(BoardFault, match="not confirmed") as caught:
        board.__exit__(None, None, None)
    assert caught.value.outputs is Outputs.UNKNOWN
    (note,) = registry.notes()
    assert (note.outputs, registry.alive(note)) == ("UNKNOWN", False)
    with lamp(tmp_path) as board:  # the next one to have it safe takes the note away
        pass
    assert registry.notes() == []
    assert not light.on


def test_it_hides_no_error_that_went_before(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lamp(tmp_path, "dumb"):
        _ = 1 / 0


def test_switching_off_is_tried_again(tmp_path: Path, light: Light, shared: Path) -> None:
    with lamp(tmp_path, "unsure") as board:
        board.apply(LIST[:2])
        assert light.on
        assert board._guard is not None
        board._guard.end()
        assert not light.on
        assert notes(shared) == []


# ---- nothing is left behind -----------------------------------------------------------------


def test_fault_45_no_process_no_file_and_no_descriptor_stays(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    gc.collect()  # what earlier tests left to it
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for trouble in ("", "fault", "crash"):
        with lamp(tmp_path, trouble) as board, suppress(Misbehaved):
            board.apply(LIST)
    board = lamp(tmp_path)
    board.__enter__()
    board.apply(LIST)
    child = pid_of(board)
    del board  # and nobody left it
    gc.collect()
    assert not Path(f"/proc/{child}").exists()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert notes(shared) == []
    assert list(scratch.iterdir()) == []


def test_leaving_takes_less_than_a_second(tmp_path: Path) -> None:
    board = lamp(tmp_path)
    board.__enter__()
    board.apply(LIST)
    began = time.monotonic()
    board.__exit__(None, None, None)
    assert time.monotonic() - began < 1.0


def test_a_forked_child_has_no_business_with_it(tmp_path: Path, light: Light) -> None:
    with lamp(tmp_path) as board:
        board.apply(LIST)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with pytest.raises(Refused, match="forked"):
                    board.apply(LIST)
                board.__exit__(None, None, None)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert light.on
        assert len(board.apply(LIST)) == 5


# ---- ngspice in it --------------------------------------------------------------------------

NGSPICE = """
class = "sim_backend.ngspice:NgspiceBoard"
kind = "sim"
[guard]
enabled = true
[board]
layout = "selector"
columns = 1
"""


def test_fault_45_a_crash_of_ngspice_is_an_error_of_the_board(tmp_path: Path) -> None:
    from labctl.addressing import select
    from labctl.shapes import square

    (tmp_path / "bench.toml").write_text(NGSPICE)
    board = Bench.read(tmp_path / "bench.toml").board(tmp_path)
    assert isinstance(board, Guarded)
    read = select(board.spec, 0, square(0.1, 100e-6), Purpose.READ)
    with board:
        board.apply([read])
        guard = pid_of(board)
        (engine,) = children_of(guard)
        os.kill(engine, signal.SIGSEGV)
        with pytest.raises(BoardGone, match="SIGSEGV") as caught:
            board.apply([read])
        assert caught.value.outputs is Outputs.OFF
        assert len(board.apply([read])) == 1  # the guard has started another
        (engine,) = children_of(guard)
        os.kill(guard, signal.SIGKILL)
        assert soon(lambda: not Path(f"/proc/{engine}").exists() or zombie(engine))
        assert gone_on(board, [read]).outputs is Outputs.OFF
    with board:
        assert len(board.apply([read])) == 1


def gone_on(board: Board, pulses: list[Pulse]) -> BoardGone:
    with pytest.raises(BoardGone) as caught:
        board.apply(pulses)
    return caught.value


def children_of(pid: int) -> list[int]:
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zombie(pid: int) -> bool:
    """Ended; whoever adopted it has not looked yet."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


# ---- how it is started ----------------------------------------------------------------------


def test_a_guard_needs_little_to_start() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import labctl.guard.child, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"scipy", "matplotlib", "numba", "rich", "typer", "pyvisa", "serial"} & set(told)
