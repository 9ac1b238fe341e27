"""The ngspice engine, against real ngspice: right numbers, and every way to go wrong says so and is over."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import BoardFault, BoardGone, BoardHung, NoConvergence, Refused, Unavailable
from sim_backend import engine_child
from sim_backend.engine import LOADED, Engine, Job
from sim_backend.transient import waves

ROOT = Path(__file__).parent.parent
OHMS, FARADS, VOLTS = 1e3, 1e-9, 1.0  # tau = 1 us


def charging(stop: float = 1e-6, start: float = 0.0, ohms: float = OHMS, title: str = "rc") -> Job:
    """A capacitor charged from `start` to 1 V; the source and the initial voltage are altered."""
    circuit = f"* {title}\nvs s 0 0\nrs s a {ohms!r}\nca a 0 {FARADS!r}\n.save v(a) v(s) i(vs)\n.end"
    alter = (f"@vs[pwl] = [ 0 {VOLTS!r} {stop!r} {VOLTS!r} ]", f"ca ic = {start!r}")
    return Job(circuit, stop, stop / 200, ("a", "s", "vs#branch"), alter)


def charged(job: Job, start: float = 0.0, ohms: float = OHMS) -> float:
    """The exact voltage at the end of `charging`."""
    return VOLTS + (start - VOLTS) * math.exp(-job.stop / (ohms * FARADS))


def endless() -> Job:
    """A transient that takes many seconds."""
    circuit = "* slow\nvs s 0 sin(0 1 1e6)\nrs s a 1e3\nca a 0 1e-9\n.save v(a)\n.end"
    return Job(circuit, 4.0, 1e-6, ("a",))


def check_charging(engine: Engine) -> None:
    job = charging()
    assert engine.transient(job).values[0, -1] == pytest.approx(charged(job), rel=1e-4)


def pid_of(engine: Engine) -> int:
    assert engine.version
    assert engine._process is not None
    return engine._process._child.pid


@contextlib.contextmanager
def soon(seconds: float, pid: int, number: signal.Signals) -> Iterator[None]:
    """Send a signal to a process after a while, from another thread."""
    timer = threading.Timer(seconds, os.kill, (pid, number))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def gone(pid: int, within: float = 10.0) -> bool:
    """Whether a process ends (one that nobody waited for counts as ended)."""
    stat = Path(f"/proc/{pid}/stat")
    end = time.monotonic() + within
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if stat.read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


# ------------------------------------------------------------------------------- right numbers


def test_a_capacitor_charges_as_calculated_at_every_sample(shared: Engine) -> None:
    job = charging(5e-6)
    result = shared.transient(job)
    volts, source, amps = result.values
    assert result.seconds[-1] == pytest.approx(job.stop, rel=1e-12)
    assert result.seconds.shape == volts.shape
    assert np.all(np.diff(result.seconds) > 0)
    assert np.allclose(volts, 1 - np.exp(-result.seconds / 1e-6), atol=2e-4)
    assert np.allclose(source, 1)
    assert np.allclose(-amps, (source - volts) / OHMS, atol=1e-12)


def test_the_charge_delivered_is_the_charge_on_the_capacitor(shared: Engine) -> None:
    result = shared.transient(charging(5e-6))
    delivered = -np.trapezoid(result.values[2], result.seconds)
    assert delivered == pytest.approx(result.values[0, -1] * FARADS, rel=2e-3)


def test_state_carries_over_from_one_transient_to_the_next(shared: Engine) -> None:
    middle = shared.transient(charging(1e-6)).values[0, -1]
    end = shared.transient(charging(1e-6, start=float(middle))).values[0, -1]
    assert end == pytest.approx(1 - math.exp(-2), rel=1e-4)


def test_an_answer_does_not_depend_on_the_jobs_before_it(engine: Engine) -> None:
    job = charging()
    first = engine.transient(job)
    other = engine.transient(charging(2e-6, start=0.5, ohms=3e3))
    unaltered = Job(job.circuit, job.stop, job.max_step, job.vectors)
    assert np.all(engine.transient(unaltered).values[0] == 0), (
        "0 V source: another job's waveform is not seen"
    )
    again = engine.transient(job)
    assert np.array_equal(first.values, again.values)
    assert np.array_equal(first.seconds, again.seconds)
    engine.close()
    assert np.array_equal(first.values, engine.transient(job).values)
    assert other.values[0, -1] != first.values[0, -1]


def test_more_circuits_than_stay_loaded_keep_their_own_parameters(engine: Engine) -> None:
    ohms = [1e3 + 10 * k for k in range(LOADED + 10)]
    rng = np.random.default_rng(1)
    for r in [*ohms, *rng.choice(ohms, 100)]:
        job = charging(ohms=float(r))
        assert engine.transient(job).values[0, -1] == pytest.approx(charged(job, ohms=float(r)), rel=1e-4)
    assert len(engine._loaded) == LOADED


def test_a_long_waveform_goes_in_with_the_circuit(shared: Engine) -> None:
    pairs = " ".join(f"\n+ {k * 1e-6!r} {k % 2}" for k in range(400))
    job = Job(f"* list\nvs s 0 pwl({pairs}\n+ )\nrs s 0 1e3\n.save v(s)\n.end", 399e-6, 1e-6, ("s",))
    result = shared.transient(job)
    assert np.trapezoid(result.values[0], result.seconds) == pytest.approx(399e-6 / 2, rel=1e-6)


def test_memory_does_not_grow_with_the_number_of_jobs(engine: Engine) -> None:
    status = Path(f"/proc/{pid_of(engine)}/statm")

    def resident_after(jobs: int) -> int:
        for k in range(jobs):
            engine.transient(charging(ohms=1e3 + k))  # a circuit for each, so that all are dropped again
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    assert resident_after(2500) + 0.5e6 > resident_after(2500), "the first jobs fill ngspice's history"


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "line",
    [
        ".control",
        " .CONTROL",
        ".include /etc/passwd",
        ".lib x y",
        ".tran 1 1",
        "*# shell ls",
        "*ng_script",
        ".opt",
    ],
)
def test_fault_63_a_circuit_carries_no_script(shared: Engine, line: str) -> None:
    with pytest.raises(Refused, match="must not have the line"):
        shared.transient(Job(f"* t\n{line}\nr1 a 0 1\n.end", 1e-6, 1e-8, ("a",)))


@pytest.mark.parametrize(
    "text",
    [
        "cx ic = nan",
        "cx ic = 1; shell ls",
        "cx ic = `ls`",
        "cx ic = 1\nshell ls",
        "ic",
        "@vs[pwl] = [ 0 0 1e-6 ]",
        f"@vs[pwl] = [ {'0 ' * 600}]",
    ],
)
def test_an_alteration_is_a_number_or_a_list_and_nothing_else(shared: Engine, text: str) -> None:
    with pytest.raises(Refused):
        shared.transient(Job(charging().circuit, 1e-6, 1e-8, ("a",), (text,)))


@pytest.mark.parametrize(
    ("stop", "step"),
    [(0, 1e-8), (-1, 1e-8), (math.nan, 1e-8), (1e-6, math.nan), (1e-6, 0), (1, 1e-9), (math.inf, 1)],
)
def test_times_that_are_none_are_refused(shared: Engine, stop: float, step: float) -> None:
    with pytest.raises(Refused, match="steps of"):
        shared.transient(Job(charging().circuit, stop, step, ("a",)))


def test_a_vector_is_a_name(shared: Engine) -> None:
    with pytest.raises(Refused, match="not the name of a vector"):
        shared.transient(Job(charging().circuit, 1e-6, 1e-8, ("a; quit",)))


@pytest.mark.parametrize("deadline", [0.0, -1.0, math.nan, math.inf])
def test_a_deadline_is_a_finite_time(deadline: float) -> None:
    with pytest.raises(Refused, match="deadline"):
        Engine(deadline=deadline)


# ------------------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    "lines",
    ["foo", "r2 a b notthere", "x1 a b nosuch", "b1 a 0 k=1", "d1 a 0 nomodel"],
    ids=lambda text: text[:6],
)
def test_a_wrong_netlist_is_an_error_with_ngspices_words(engine: Engine, lines: str) -> None:
    with pytest.raises(BoardFault) as caught:
        engine.transient(Job(f"* t\nv1 a 0 1\nr1 a 0 1\n{lines}\n.save v(a)\n.end", 1e-6, 1e-8, ("a",)))
    assert lines.split(maxsplit=1)[0] in str(caught.value)
    check_charging(engine)


def test_a_netlist_that_crashes_ngspice_is_an_error_of_the_board(engine: Engine) -> None:
    with pytest.raises((BoardGone, BoardFault)):  # a parenthesis left open ends ngspice 39
        engine.transient(Job("* t\nb1 a 0 i=v(\nr1 a 0 1\n.save v(a)\n.end", 1e-6, 1e-8, ("a",)))
    check_charging(engine)


@pytest.mark.parametrize("text", ["cnone ic = 1", "ca nosuch = 1", "@vs[pwl] = [ 0 0 2e-6 1 1e-6 1 ]"])
def test_an_alteration_of_nothing_is_an_error(engine: Engine, text: str) -> None:
    with pytest.raises(BoardFault):
        engine.transient(Job(charging().circuit, 1e-6, 1e-8, ("a",), (text,)))
    check_charging(engine)


def test_two_sources_on_one_node_do_not_converge(engine: Engine) -> None:
    with pytest.raises(NoConvergence, match=r"singular|[Tt]imestep"):
        engine.transient(Job("* t\nv1 a 0 1\nv2 a 0 2\nr1 a 0 1\n.save v(a)\n.end", 1e-6, 1e-8, ("a",)))
    check_charging(engine)


def test_a_circuit_that_fails_half_way_is_an_error(engine: Engine) -> None:
    circuit = "* t\nv1 a 0 pwl(0 0 1e-6 1)\nb1 b 0 v=sqrt(0.5-v(a))\nr1 b 0 1\n.save v(b)\n.end"
    with pytest.raises(NoConvergence):
        engine.transient(Job(circuit, 1e-6, 1e-8, ("b",)))
    check_charging(engine)


@pytest.mark.parametrize("name", ["nosuch", "c", "pi", "nosuch#branch"])
def test_a_missing_vector_is_an_error_and_never_a_constant_of_that_name(engine: Engine, name: str) -> None:
    with pytest.raises(NoConvergence):
        engine.transient(Job(charging().circuit, 1e-6, 1e-8, (name,)))
    check_charging(engine)


def answer(*rows: list[float]) -> bytearray:
    return bytearray(np.array(rows).tobytes())


def test_waves_that_stop_early_are_no_result() -> None:
    job = Job("", 1e-6, 1e-8, ("a",))
    assert waves(job, {"samples": 2}, answer([5e-7, 1e-6], [1, 2])).values.tolist() == [[1, 2]]
    with pytest.raises(NoConvergence, match="stopped at"):
        waves(job, {"samples": 2}, answer([4e-7, 9e-7], [1, 2]))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_waves_of_no_numbers_are_no_result(wrong: float) -> None:
    with pytest.raises(NoConvergence, match="not numbers"):
        waves(Job("", 1e-6, 1e-8, ("a",)), {"samples": 2}, answer([5e-7, 1e-6], [1, wrong]))


@pytest.mark.parametrize(("samples", "body"), [(0, bytearray()), (3, answer([1e-6], [1]))])
def test_waves_with_too_few_samples_are_no_result(samples: int, body: bytearray) -> None:
    with pytest.raises(BoardFault, match="too few"):
        waves(Job("", 1e-6, 1e-8, ("a",)), {"samples": samples}, body)


# ---------------------------------------------------------------- an engine that dies or hangs


def test_fault_40_a_killed_engine_is_an_error_and_the_next_call_works(engine: Engine) -> None:
    pid = pid_of(engine)
    with soon(0.1, pid, signal.SIGKILL), pytest.raises(BoardGone, match="SIGKILL"):
        engine.transient(endless())
    check_charging(engine)
    assert pid_of(engine) != pid


def test_fault_40_an_engine_killed_between_calls_is_an_error_and_the_next_call_works(engine: Engine) -> None:
    os.kill(pid_of(engine), signal.SIGKILL)
    with pytest.raises(BoardGone, match="SIGKILL"):
        engine.transient(charging())
    check_charging(engine)


def test_fault_40_a_crash_says_where(engine: Engine) -> None:
    with (
        soon(0.1, pid_of(engine), signal.SIGSEGV),
        pytest.raises(BoardGone, match=r"(?s)SIGSEGV.*Segmentation"),
    ):
        engine.transient(endless())
    check_charging(engine)


def test_fault_41_a_stopped_engine_is_an_error_and_is_killed() -> None:
    with Engine(deadline=0.3) as engine:
        pid = pid_of(engine)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(BoardHung, match="deadline"):
            engine.transient(charging())
        assert gone(pid)
        check_charging(engine)


def test_fault_41_a_stopped_engine_that_does_not_even_read_is_an_error() -> None:
    with Engine(deadline=0.3) as engine:
        os.kill(pid_of(engine), signal.SIGSTOP)
        comment = "* " + 70 * "-" + "\n"
        with pytest.raises(BoardHung):
            engine.transient(
                Job(charging().circuit.replace(".end", comment * 20_000 + ".end"), 1e-6, 1e-8, ("a",))
            )
        check_charging(engine)


def test_a_transient_beyond_the_deadline_is_stopped() -> None:
    with Engine(deadline=0.3) as engine:
        pid = pid_of(engine)
        with pytest.raises(BoardHung):
            engine.transient(endless())
        assert gone(pid)
        check_charging(engine)


def test_ctrl_c_in_the_middle_of_a_call_leaves_no_answer_behind_for_the_next(engine: Engine) -> None:
    pid = pid_of(engine)
    with soon(0.1, os.getpid(), signal.SIGINT), pytest.raises(KeyboardInterrupt):
        engine.transient(endless())
    assert gone(pid)
    check_charging(engine)


# ------------------------------------------------------------------------------ the library


def test_a_missing_library_says_what_to_install_everywhere() -> None:
    with pytest.raises(Unavailable) as caught:
        Engine("/nonexistent/libngspice.so").transient(charging())
    text = str(caught.value)
    for word in ("/nonexistent/libngspice.so", "libngspice0", "dnf", "brew", "conda", "LABCTL_NGSPICE"):
        assert word in text


def test_the_environment_names_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_NGSPICE", "/nonexistent/other.so")
    with pytest.raises(Unavailable, match=r"other\.so"):
        Engine().transient(charging())


def test_a_library_of_something_else_is_refused() -> None:
    with pytest.raises(Unavailable, match="not a library of ngspice"):
        Engine("libc.so.6").transient(charging())


def test_a_library_that_is_too_old_or_computes_wrongly_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(engine_child.__file__).read_text()

    def pretend(old: str, new: str) -> None:
        assert old in source
        fake = tmp_path / f"child{len(list(tmp_path.iterdir()))}.py"
        fake.write_text(source.replace(old, new))
        monkeypatch.setattr(engine_child, "__file__", str(fake))

    pretend("= self._ngspice.ngspice_version", "= 26")
    with pytest.raises(Unavailable, match="ngspice 26"):
        Engine().transient(charging())
    pretend("= self._ngspice.ngspice_version", "= None")
    with pytest.raises(Unavailable, match="unknown version"):
        Engine().transient(charging())
    pretend('f"alter {assignment}"', '"alter ca ic = 0.9"')
    with pytest.raises(Unavailable, match="wrong"):
        Engine().transient(charging())
    pretend('f"alter {assignment}"', '"alter nothing at = all"')
    with pytest.raises(Unavailable, match="self-test"):
        Engine().transient(charging())


@pytest.mark.parametrize("named", [None, "libm.so.6"])
def test_the_setup_is_told_which_library_an_engine_would_load(
    named: str | None, monkeypatch: pytest.MonkeyPatch, shared: Engine
) -> None:
    expected = (0, f"{shared.library}\n")
    if named:
        monkeypatch.setenv("LABCTL_NGSPICE", named)
        expected = (1, "")
    ended = subprocess.run(
        [sys.executable, "-P", "-S", engine_child.__file__], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == expected


def test_the_engine_says_what_it_runs(shared: Engine) -> None:
    assert shared.version >= 30
    assert "ngspice" in shared.library


# ------------------------------------------------------------------- nobody's settings, no traces


def test_fault_63_spiceinit_in_the_users_folders_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    witness = tmp_path / "read"
    for name in (".spiceinit", "spice.rc", "spinit"):
        (tmp_path / name).write_text(f"shell touch {witness}\n")
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "SPICE_USERINIT_DIR", "SPICE_LIB_DIR", "SPICE_SCRIPTS"):
        monkeypatch.setenv(name, str(tmp_path))
    with Engine() as engine:
        check_charging(engine)
    assert not witness.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".spiceinit", "spice.rc", "spinit"]


def test_ngspice_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with Engine() as engine:
        check_charging(engine)
    assert capfd.readouterr() == ("", "")


def test_fault_45_nothing_is_left_after_close(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    files = len(list(Path("/proc/self/fd").iterdir()))
    with Engine() as engine:
        check_charging(engine)
        assert not list(tmp_path.iterdir()), "not even while it runs"
        pid = pid_of(engine)
    assert not Path(f"/proc/{pid}").exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == files


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_fault_45_nothing_is_left_after_kill_9_of_the_parent(tmp_path: Path, *, busy: bool) -> None:
    work = "engine.transient(test_engine.endless())" if busy else "input()"
    program = (
        "import sys, test_engine\n"
        "engine = test_engine.Engine()\n"
        "print(test_engine.pid_of(engine), flush=True)\n"
        f"{work}\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2 if busy else 0)
        parent.kill()
    assert gone(pid)
    assert not list(tmp_path.iterdir())


def test_the_engine_is_not_in_the_terminals_process_group(shared: Engine) -> None:
    assert os.getsid(pid_of(shared)) != os.getsid(0)


def test_ngspice_is_imported_in_the_other_process_only() -> None:
    code = (
        "import sys, sim_backend.engine; print([name for name in ('PySpice', 'cffi') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
