"""The run folder: what is written comes back, and what cannot be written or read says so."""

import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labctl import runfolder
from labctl.codec import decode_pulse, decode_trace, encode_pulse, encode_trace, spec_from_json, spec_to_json
from labctl.energy import Ledger, charges
from labctl.errors import BadRun, Refused, StorageFault
from labctl.journal import Journal, Outcome, recompute
from labctl.limits import Limits
from labctl.parts import Neuron, Shapes, Site
from labctl.pulse import Flag, Floats, Pulse, Purpose, Trace
from labctl.shapes import square
from labctl.spec import Spec
from labctl.store import Store
from tests.boards import SPEC, NullBoard

ROOT = Path(__file__).resolve().parent.parent


def pulses(count: int, volts: float = 0.5) -> list[Pulse]:
    made: list[Pulse] = []
    for index in range(count):
        wave = square(volts * (index + 1) / count, 1e-4)
        lines = np.column_stack([wave.volts, np.zeros(len(wave.volts))])
        purpose = Purpose.PROGRAM if index % 2 else Purpose.READ
        made.append(Pulse(wave.seconds, lines, np.array([True, True]), purpose))
    return made


def driven(store: Store, count: int, ledger: Ledger | None = None) -> int:
    """Drive and record a list; returns the number of its first pulse."""
    sent = pulses(count)
    first = store.intend(sent)
    with NullBoard() as board:
        traces = board.apply(sent)
    booked = charges(SPEC, sent, traces)
    (ledger or Ledger()).charge(booked)
    store.record(first, sent, traces, booked)
    return first


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "runs", "one", SPEC, {"seeds": {"noise": 7}}) as made:
        yield made


# ---- round trips ----------------------------------------------------------------------------

numbers = st.floats(width=64, allow_nan=True, allow_infinity=True)


@st.composite
def stored_pulses(draw: st.DrawFn) -> Pulse:
    corners, lines = draw(st.integers(0, 6)), draw(st.integers(0, 20))
    return Pulse(
        draw(arrays(np.float64, corners, elements=numbers)),
        draw(arrays(np.float64, (corners, lines), elements=numbers, fill=st.sampled_from([0.0, -0.0]))),
        draw(arrays(np.bool_, lines)),
        draw(st.sampled_from(Purpose)),
        draw(st.integers(1, 2**63 - 1)),
    )


@st.composite
def stored_traces(draw: st.DrawFn) -> Trace:
    samples, lines = draw(st.integers(0, 6)), draw(st.integers(0, 20))
    table = arrays(np.float64, (samples, lines), elements=numbers, fill=st.sampled_from([0.0, -0.0]))
    return Trace(
        draw(arrays(np.float64, samples, elements=numbers)),
        draw(table),
        draw(table),
        Flag(draw(st.integers(0, 127))),
        draw(st.booleans()),
        draw(st.floats(0, 1e3)),
        draw(st.floats(0, 1e3)),
    )


def same_bits(one: Floats, other: Floats) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


@given(stored_pulses())
def test_a_pulse_comes_back_bit_for_bit(pulse: Pulse) -> None:
    back = decode_pulse(encode_pulse(pulse))
    assert same_bits(back.seconds, pulse.seconds)
    assert same_bits(back.volts, pulse.volts)
    assert np.array_equal(back.driven, pulse.driven)
    assert (back.purpose, back.repeats) == (pulse.purpose, pulse.repeats)


@given(stored_traces())
def test_a_trace_comes_back_bit_for_bit(trace: Trace) -> None:
    back = decode_trace(encode_trace(trace))
    assert same_bits(back.seconds, trace.seconds)
    assert same_bits(back.volts, trace.volts)
    assert same_bits(back.amps, trace.amps)
    assert (back.flags, back.estimated) == (trace.flags, trace.estimated)
    assert (back.settle_seconds, back.link_seconds) == (trace.settle_seconds, trace.link_seconds)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_pulse_or_bad(blob: bytes) -> None:
    for decode in (decode_pulse, decode_trace):
        try:
            decode(blob)
        except BadRun:
            continue


def test_a_forged_length_makes_nothing_large() -> None:
    blob = bytearray(encode_pulse(pulses(1)[0]))
    blob[4:8] = (2**32 - 1).to_bytes(4, "little")
    with pytest.raises(BadRun, match="bytes where"):
        decode_pulse(bytes(blob))


def test_lines_at_zero_cost_nothing_on_a_wide_board() -> None:
    volts = np.zeros((4, 100))
    volts[1:3, 7] = 1.0
    pulse = Pulse(np.array([0.0, 1.0, 2.0, 3.0]), volts, np.ones(100, dtype=bool), Purpose.READ)
    assert len(encode_pulse(pulse)) == 16 + 200 + 4 * 8 + 4 * 8


def test_whole_numbers_are_written_as_floats() -> None:
    integers = Pulse(np.array([0, 1]), np.array([[0, 0], [1, 0]]), np.array([True, True]), Purpose.READ)
    assert decode_pulse(encode_pulse(integers)).volts.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_a_pulse_that_cannot_be_written_down_is_refused() -> None:
    with pytest.raises(Refused, match="cannot be written down"):
        encode_pulse(pulses(1)[0].repeated(2**70))


def test_a_spec_comes_back() -> None:
    neuron = Neuron(3, 0, (1, 2), 1e4, 1e-4, -2.5, 2.5)
    sites = (Site(0, 0, "W", "a"), Site(1, 1, "X", limits=Limits(amps=1e-4, least_ohms=10.0, joules=1e-3)))
    spec = Spec(
        "b", 2, 2, sites, (1.0, 2.0, 3.0, 4.0), shapes=Shapes.STEPS, edge_seconds=1e-6,
        shared_sources=((0, 1),), grounded=(3,), sensed=(2, 3), neurons=(neuron,),
    )  # fmt: skip
    assert spec_from_json(spec_to_json(spec)) == spec


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"sites": 1}', "[" * 10_000, '{"sites": [{"limits": {"amps": -1}}]}']
)
def test_a_spec_that_is_none_is_bad(text: str) -> None:
    with pytest.raises(BadRun, match="spec cannot be read"):
        spec_from_json(text)


# ---- what is written ------------------------------------------------------------------------


def test_what_was_driven_comes_back_with_its_outcome(store: Store) -> None:
    driven(store, 3)
    refused = store.intend(pulses(2))
    store.not_driven(refused, 2)
    store.intend(pulses(1))
    entries = list(store.journal.entries())
    assert [entry.id for entry in entries] == [1, 2, 3, 4, 5, 6]
    assert [entry.list for entry in entries] == [1, 1, 1, 2, 2, 3]
    assert [entry.outcome for entry in entries] == (
        [Outcome.MEASURED] * 3 + [Outcome.NOT_DRIVEN] * 2 + [Outcome.UNKNOWN]
    )
    assert all(entry.pulse.same_as(sent) for entry, sent in zip(entries, pulses(3), strict=False))
    assert [entry.trace is None for entry in entries] == [False] * 3 + [True] * 3
    assert [entry.id for entry in store.journal.unknown()] == [6]
    assert store.journal.counts() == {"intended": 6, "measured": 3, "not driven": 2, "dropped": 0}


def test_meta_and_notes_come_back(store: Store) -> None:
    store.note("assignment", {"sites": [1, 2]})
    with Journal.open(store.folder.parent, "one") as journal:
        assert journal.spec == SPEC
        assert journal.meta["seeds"] == {"noise": 7}
        assert journal.meta["packages"]["numpy"] == np.__version__
        assert journal.meta["created"][-6] in "+-"  # wall time says its offset from UTC
        assert [(note.kind, note.body) for note in journal.notes()] == [("assignment", {"sites": [1, 2]})]


@pytest.mark.parametrize("keep_bytes", [0, 2_000, 64 * 2**20])
def test_the_bill_is_the_ledger_whatever_was_dropped(tmp_path: Path, keep_bytes: int) -> None:
    ledger = Ledger()
    with Store.create(tmp_path, "run", SPEC, {}, keep_bytes=keep_bytes) as store:
        for count in (1, 40, 7):
            driven(store, count, ledger)
        kept = sum(entry.trace is not None for entry in store.journal.entries())
        again = recompute(store.journal)
    assert kept == {0: 0, 2_000: 12, 64 * 2**20: 48}[keep_bytes]
    for purpose, site, estimated, row in ledger.rows():
        its = again.total(purpose=purpose, site=site, estimated=estimated)
        assert its.pulses == row.pulses
        assert its.joules == pytest.approx(row.joules, rel=1e-12)
        assert its.seconds == pytest.approx(row.seconds, rel=1e-12)


def test_a_resumed_run_goes_on_counting(store: Store) -> None:
    driven(store, 2)
    store.intend(pulses(1))
    store.close()
    with Store.resume(store.folder.parent, "one") as again:
        assert again.acknowledged == 2
        assert [entry.id for entry in again.journal.unknown()] == [3]
        assert driven(again, 1) == 4


def test_the_waveform_budget_holds_over_a_resume(tmp_path: Path) -> None:
    for _ in range(3):
        opened = (tmp_path / "run").exists()
        with (
            Store.resume(tmp_path, "run")
            if opened
            else Store.create(tmp_path, "run", SPEC, {}, keep_bytes=1_000) as store
        ):
            driven(store, 3)
            kept = [entry for entry in store.journal.entries() if entry.trace is not None]
    assert len(kept) == 6  # of 160 bytes each


def test_traces_and_charges_that_do_not_match_are_a_mistake_of_ours(store: Store) -> None:
    with pytest.raises(ValueError, match="1 traces, 0 charges"):
        store.record(1, pulses(1), [Trace(np.zeros(1), np.zeros((1, 2)), np.zeros((1, 2)))], [])


# ---- reading while others write, and where nothing may be written --------------------------


def test_a_running_run_can_be_read(store: Store) -> None:
    driven(store, 2)
    with Journal.open(store.folder.parent, "one") as journal:
        before = journal.entries()
        next(before)
        driven(store, 2)
        assert len(list(before)) == 1  # one state of the run
        assert len(list(journal.entries())) == 4


def test_a_finished_run_is_one_plain_file(store: Store) -> None:
    driven(store, 1)
    store.close()
    assert sorted(path.name for path in store.folder.iterdir() if path.name != "lock") == ["journal.sqlite"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("ended", [True, False], ids=["ended", "killed"])
def test_a_run_on_a_read_only_disk_can_be_read_but_not_resumed(tmp_path: Path, ended: bool) -> None:
    with Store.create(tmp_path / "runs", "run", SPEC, {}, keep_bytes=0) as store:
        driven(store, 3)
        copied = tmp_path / "copied" / "run"
        shutil.copytree(store.folder, copied)  # as a killed process would leave it
    if ended:
        shutil.rmtree(copied)
        shutil.copytree(store.folder, copied)
    with read_only(copied.parent):
        with Journal.open(copied.parent, "run") as journal:
            assert journal.counts()["measured"] == 3
        with pytest.raises(BadRun, match="cannot be written to"):
            Store.resume(copied.parent, "run")
        with pytest.raises(BadRun, match="cannot be written to"):
            Store.create(copied.parent, "other", SPEC, {}, keep_bytes=0)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder mounted over itself, read-only."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_two_processes_cannot_write_to_one_run(store: Store) -> None:
    with pytest.raises(BadRun, match=f"in use by process {os.getpid()} on "):
        Store.resume(store.folder.parent, "one")
    driven(store, 1)  # and the first goes on


# ---- what cannot be opened ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc", "a/b", ".hidden", "..", "", "a" * 65, "nul", "CON.txt", "a\0b", "x\u202ey", "a.", "a\n"],
)
def test_fault_56_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRun, match="no name of a run"):
        Store.create(tmp_path, name, SPEC, {})
    with pytest.raises(BadRun, match="no name of a run"):
        Journal.open(tmp_path, name)


def test_a_link_to_elsewhere_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path)
    with pytest.raises(BadRun, match="no name of a run"):
        Store.create(tmp_path / "runs", "link", SPEC, {})


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="there is no run"):
        Journal.open(tmp_path, "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRun, match=r"has no journal\.sqlite"):
        Store.resume(tmp_path, "empty")


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        ([], "remove the folder"),
        (["lock", "owner", "reserve", "journal.sqlite-wal"], "remove the folder"),
        (["lock", "passwd"], ""),
        (["thesis.tex"], ""),
    ],
)
def test_only_what_is_ours_is_to_be_removed(names: list[str], advice: str, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for name in names:
        (tmp_path / "one" / name).touch()
    with pytest.raises(BadRun, match="is no run") as reading:
        Journal.open(tmp_path, "one")
    with pytest.raises(BadRun, match="there already") as making:
        Store.create(tmp_path, "one", SPEC, {})
    for caught, instead in ((reading, "name the folder of a run"), (making, "choose another name")):
        assert (advice or instead) in caught.value.todo
        assert ("remove" in caught.value.todo) == bool(advice)


def test_a_run_is_not_begun_twice(store: Store) -> None:
    with pytest.raises(BadRun, match="there already"):
        Store.create(store.folder.parent, "one", SPEC, {})


def test_a_run_that_cannot_be_begun_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadRun, match="MB are free"):
        Store.create(tmp_path, "run", SPEC, {}, keep_bytes=2**60)
    with pytest.raises(TypeError):
        Store.create(tmp_path, "run", SPEC, {"configuration": object()})
    assert list(tmp_path.iterdir()) == []


def altered(store: Store, sql: str) -> Path:
    """The run, closed, after somebody else's hands."""
    store.close()
    connection = sqlite3.connect(store.folder / "journal.sqlite")
    connection.executescript(sql)
    connection.close()
    return store.folder.parent


def test_fault_52_a_newer_format_is_refused(store: Store) -> None:
    base = altered(store, "PRAGMA user_version = 99")
    with pytest.raises(BadRun, match="format 99"):
        Journal.open(base, "one")
    with pytest.raises(BadRun, match="format 99"):
        Store.resume(base, "one")


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON pulse BEGIN DELETE FROM result; END",
        "ALTER TABLE note RENAME TO old; CREATE VIEW note AS"
        " WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c)"
        " SELECT x AS id, 'a' AS time, 'b' AS kind, '{}' AS body FROM c",
        "DROP TABLE result",
        "CREATE TABLE other (x)",
    ],
)
def test_fault_62_a_hostile_database_is_not_run(store: Store, sql: str) -> None:
    base = altered(store, sql)
    with pytest.raises(BadRun, match="other tables"):
        Journal.open(base, "one")
    with pytest.raises(BadRun, match="other tables"):
        Store.resume(base, "one")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE pulse SET shape = x'00'",
        "UPDATE pulse SET purpose = 'reset'",
        "UPDATE result SET waveform = x'0102'",
        "UPDATE note SET body = '{'",
        "UPDATE note SET body = '[1]'",
        "UPDATE note SET body = 'null'",
        "UPDATE meta SET value = '{' WHERE key = 'spec'",
        "DELETE FROM meta WHERE key = 'spec'",
    ],
)
def test_a_forged_value_is_bad(store: Store, sql: str) -> None:
    driven(store, 1)
    store.note("a")
    base = altered(store, sql)
    with pytest.raises(BadRun):
        read_everything(base)


@pytest.mark.parametrize("value", [None, '"many"', '"12"', "1.5", "NaN", "[]", "true"])
def test_a_waveform_budget_that_is_none_is_bad(value: str | None, store: Store) -> None:
    change = "DELETE FROM meta" if value is None else f"UPDATE meta SET value = '{value}'"
    base = altered(store, f"{change} WHERE key = 'keep_bytes'")
    with pytest.raises(BadRun, match="keep_bytes"):
        Store.resume(base, "one")


def read_everything(base: Path) -> None:
    with Journal.open(base, "one") as journal:
        recompute(journal)
        journal.unknown()
        journal.notes()
        journal.counts()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    base = tmp_path_factory.mktemp("written")
    with Store.create(base, "one", SPEC, {}) as store:
        driven(store, 30)
    return (base / "one" / "journal.sqlite").read_bytes()


@given(content=st.binary(max_size=300))
def test_any_bytes_as_a_journal_are_bad(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    base = tmp_path_factory.mktemp("bytes")
    (base / "one").mkdir()
    (base / "one" / "journal.sqlite").write_bytes(content)
    for use in (read_everything, lambda base: Store.resume(base, "one")):
        with pytest.raises(BadRun):
            use(base)
    assert (base / "one" / "journal.sqlite").read_bytes() == content


@given(where=st.floats(0, 1, exclude_max=True), damage=st.binary(min_size=1, max_size=40), cut=st.booleans())
def test_a_damaged_journal_is_read_or_bad(
    tmp_path_factory: pytest.TempPathFactory, written: bytes, where: float, damage: bytes, cut: bool
) -> None:
    base = tmp_path_factory.mktemp("damaged")
    (base / "one").mkdir()
    start = int(where * len(written))
    after = b"" if cut else written[start + len(damage) :]
    (base / "one" / "journal.sqlite").write_bytes(written[:start] + damage + after)
    for use in (read_everything, lambda base: Store.resume(base, "one").close()):
        try:
            use(base)
        except BadRun:
            continue


# ---- disks ----------------------------------------------------------------------------------

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/me/local rw - xfs /dev/sdb rw
32 22 0:41 / /mnt/my\\040disk rw master:1 - cifs //server/share rw
nonsense
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/var/x", "ext4"), ("/home/me", "nfs4"), ("/home/me/local/x", "xfs"), ("/mnt/my disk/x", "cifs")],
)
def test_fault_49_the_file_system_is_known(folder: str, kind: str) -> None:
    assert runfolder.file_system(Path(folder), MOUNTS) == kind
    if kind in ("nfs4", "cifs"):
        with pytest.raises(BadRun, match=f"network file system \\({kind}\\)"):
            runfolder.refuse_network(Path(folder), MOUNTS)
    else:
        runfolder.refuse_network(Path(folder), MOUNTS)


def test_where_the_system_does_not_say_nothing_is_refused() -> None:
    runfolder.refuse_network(Path("/anywhere"), "")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounts")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], check=False)
    if done.returncode:
        pytest.skip("no mounts here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(disk: Path) -> None:
    """Leave no room at all."""
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue


def test_fault_46_a_full_disk_refuses_the_next_pulse(small_disk: Path) -> None:
    with Store.create(small_disk, "one", SPEC, {}, keep_bytes=0) as store:
        driven(store, 10)
        fill(small_disk)
        with pytest.raises(StorageFault, match="full") as fault:  # noqa: PT012
            while True:
                store.intend(pulses(100))
        assert "everything up to pulse 10" in fault.value.saved
        assert "free some space" in fault.value.todo
        with pytest.raises(StorageFault):  # never as if nothing had happened
            store.note("again")
    (small_disk / "filler").unlink()
    with Store.resume(small_disk, "one") as store:
        assert store.journal.counts()["measured"] == 10
        driven(store, 1)


def test_fault_46_what_was_measured_when_the_disk_filled_up_is_saved(small_disk: Path) -> None:
    with Store.create(small_disk, "one", SPEC, {}, keep_bytes=2**20) as store:
        sent = pulses(3000)
        first = store.intend(sent)
        with NullBoard() as board:
            traces = board.apply(sent)
        fill(small_disk)
        with pytest.raises(StorageFault, match="full") as fault:
            store.record(first, sent, traces, charges(SPEC, sent, traces))
        assert "everything up to pulse 3000" in fault.value.saved
    with Journal.open(small_disk, "one") as journal:
        assert journal.counts()["measured"] == 3000
        assert journal.unknown() == []


FULL = """
import resource, signal, sys
from pathlib import Path
from labctl.errors import StorageFault
from tests.test_store import SPEC, Store, driven
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store.create(Path(sys.argv[1]), "one", SPEC, {}) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    try:
        while True:
            driven(store, 50)
            print(store.acknowledged, flush=True)
    except StorageFault as fault:
        assert f"everything up to pulse {store.acknowledged}" in fault.saved, fault
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_fault_47_a_write_that_fails_ends_the_writing_and_loses_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    acknowledged = int(ended.stdout.split()[-1])
    with Journal.open(tmp_path, "one") as journal:
        counts = journal.counts()
    assert counts["measured"] >= acknowledged >= 50


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_fault_51_a_folder_that_is_moved_or_deleted_ends_the_run(store: Store, how: str) -> None:
    driven(store, 1)
    if how == "moved":
        store.folder.rename(store.folder.with_name("elsewhere"))
    else:
        shutil.rmtree(store.folder)
    with pytest.raises(StorageFault, match="moved or deleted"):
        store.intend(pulses(1))


def test_the_limits_of_json_do_not_change_a_limit(store: Store) -> None:
    """An infinite limit is written as JavaScript's `Infinity`, which Python reads back as it was."""
    assert json.loads(spec_to_json(SPEC))["sites"][0]["limits"]["joules"] == math.inf
    assert store.journal.spec.sites[0].limits == SPEC.sites[0].limits
