"""Sweeps: what is done once, what is kept, and what the rows say, against numbers worked out by hand."""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.aware import jobs
from labctl.aware.answers import Answer, answers, headlines, reach, share, student
from labctl.aware.conditions import PARTS, Condition, conditions
from labctl.aware.file import AwareFile, Sweep, read_aware
from labctl.aware.jobs import START, of_sweep, of_training, trial_key
from labctl.aware.record import AwareRecord, digest_of, packed, unpacked
from labctl.aware.technology import Technology
from labctl.errors import BadConfig, BadRun, StorageFault
from labctl.estimates import Interval
from labctl.pages.aware import aware_page, outline_page
from labctl.report.aware_chart import charts, ratio_name
from labctl.runfolder import AWARE

FILE = """
name = "small"

[data]
set = "digits"
train = 200
test = 50

[network]
hidden = [8]

[technology]
variation = "10 %"

[training]
ideal_epochs = 2
epochs = 1
rate = 1e-2

[sweep]
source = [1e-3, 1e-1]
neuron = [1e-3, 1e-1]
seeds = 2
chips = 3
"""


def file_of(folder: Path, text: str = FILE) -> AwareFile:
    path = folder / "small.toml"
    path.write_text(text)
    return read_aware(path)


def made(folder: Path, text: str = FILE, name: str = "one") -> AwareRecord:
    file = file_of(folder, text)
    return AwareRecord.create(folder / "runs", name, file, folder / "small.toml", "sweep", "0123")


@pytest.fixture
def record(tmp_path: Path) -> Iterator[AwareRecord]:
    with made(tmp_path) as one:
        yield one


# ---- what there is to do --------------------------------------------------------------------


def test_networks_that_know_the_same_are_trained_once(tmp_path: Path) -> None:
    text = FILE.replace("[sweep]", '[sweep]\naware = ["standard", "noise", "technology"]')
    text = text.replace("seeds = 2", 'seeds = 1\nvariation = ["0 %", "20 %"]')
    found = of_sweep(file_of(tmp_path, text))
    count = {
        kind: sum(job.aware == kind for job in found) for kind in (START, "standard", "noise", "technology")
    }
    assert count == {START: 1, "standard": 1, "noise": 3, "technology": 6}  # noise knows sigma alone
    tried = {kind: sorted(len(job.tried_on) for job in found if job.aware == kind) for kind in count}
    assert tried == {START: [0], "standard": [6], "noise": [1, 1, 4], "technology": [1] * 6}
    assert len({job.key for job in found}) == len(found)


def test_a_condition_is_named_by_its_ratios(tmp_path: Path) -> None:
    found = conditions(file_of(tmp_path, FILE.replace("[technology]", '[technology]\non = "7 kohm"')))
    assert [(one.source, one.neuron) for one in found] == [(a, b) for a in (1e-3, 0.1) for b in (1e-3, 0.1)]
    assert found[0].technology.source == pytest.approx(7.0)
    assert found[0].key == "source 0.001, neuron 0.001, variation 0.1, tile any"


def test_chips_that_cannot_differ_are_tried_once() -> None:
    same, other = Condition.of(Technology()), Condition.of(Technology(stuck_on=0.01))
    assert (same.chips(20), other.chips(20)) == (1, 20)
    assert [Condition.of(Technology(**{part: 0.01})).chips(20) for part in PARTS] == [20] * 6


def test_a_training_tries_what_it_began_with_and_what_it_made(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    assert [job.aware for job in of_training(file)] == [START, "technology"]
    assert {job.tried_on for job in of_training(file)} == {(Condition.of(file.technology),)}


def test_a_dry_run_counts(tmp_path: Path) -> None:
    page = outline_page(file_of(tmp_path))
    assert page.data["networks"] == {START: 2, "standard": 2, "calibrated": 8, "technology": 8}
    assert page.data["chips"] == 2 * 3 * 4 * 3  # seeds, kinds, conditions, chips


# ---- what is kept ---------------------------------------------------------------------------

WEIGHTS = {"1.weight": np.arange(6.0, dtype=np.float32).reshape(2, 3), "gains": np.array([1.0, 2.0])}


def test_weights_come_back_bit_for_bit_and_can_run_nothing() -> None:
    back = unpacked(packed(WEIGHTS))
    assert digest_of(back) == digest_of(WEIGHTS)
    assert digest_of({**back, "gains": np.array([1.0, 2.5])}) != digest_of(WEIGHTS)
    with pytest.raises(ValueError, match="Object arrays"):
        packed({"trap": np.array([print], dtype=object)})


def test_a_network_in_training_goes_on_from_its_last_epoch(record: AwareRecord) -> None:
    record.keep_epoch("start 0", [{"loss": 2.0}], WEIGHTS)
    record.keep_epoch("start 0", [{"loss": 2.0}, {"loss": 1.0}], WEIGHTS)
    kept = record.epoch("start 0")
    assert kept is not None
    assert kept[:2] == (2, [{"loss": 2.0}, {"loss": 1.0}])
    record.keep_network("start 0", {"epochs": kept[1], "right": 40, "of": 50}, kept[2])
    assert record.epoch("start 0") is None
    assert digest_of(record.weights("start 0") or {}) == digest_of(WEIGHTS)


def test_the_order_of_the_rows_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    rows = [("x", 0), ("x", 1), ("y", 0)]
    with made(tmp_path / "a") as one, made(tmp_path / "b") as other:
        for key, chip in rows:
            one.keep_chip(key, chip, {"right": chip, "of": 50})
        assert one.fingerprint() != other.fingerprint()
        for key, chip in reversed(rows):
            other.keep_chip(key, chip, {"of": 50, "right": chip})
        assert one.fingerprint() == other.fingerprint()


def test_letting_go_of_a_network_keeps_what_it_came_to(record: AwareRecord) -> None:
    record.keep_network("standard 0", {"epochs": [], "right": 40, "of": 50}, WEIGHTS)
    before = record.fingerprint()
    record.let_go("standard 0")
    assert record.weights("standard 0") is None
    assert record.fingerprint() == before
    assert record.network("standard 0") == {
        "epochs": [],
        "right": 40,
        "of": 50,
        "weights": digest_of(WEIGHTS),
    }


def test_one_writer_and_any_reader(record: AwareRecord) -> None:
    base, name = record.folder.parent, record.folder.name
    with AwareRecord.open(base, name) as reader:
        assert reader.file == record.file
    with pytest.raises(BadRun, match="in use"):
        AwareRecord.resume(base, name)
    with pytest.raises(BadRun, match="is there already"):
        AwareRecord.create(base, name, record.file, Path("small.toml"), "sweep", "0123")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("DROP TABLE chip", "is not the record of"),
        ("CREATE VIEW more AS SELECT 1", "is not the record of"),
        ("PRAGMA user_version = 99", "another version"),
        ("PRAGMA application_id = 1", "is not the record of"),
        ("UPDATE meta SET value = '{' WHERE key = 'file'", "cannot be read"),
        ("DELETE FROM meta WHERE key = 'file'", "cannot be read"),
    ],
)
def test_a_record_that_is_not_what_it_says_is_refused(tmp_path: Path, spoil: str, told: str) -> None:
    made(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "runs/one" / AWARE)) as connection:
        connection.execute(spoil)
        connection.commit()
    with pytest.raises(BadRun, match=told):
        AwareRecord.resume(tmp_path / "runs", "one")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    made(tmp_path).close()
    path = tmp_path / "runs/one" / AWARE
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadRun, match=r"damaged|cannot be read"):
        AwareRecord.resume(tmp_path / "runs", "one")
    path.unlink()
    with pytest.raises(BadRun, match=r"it has no aware\.sqlite"):
        AwareRecord.open(tmp_path / "runs", "one")


def test_a_record_that_was_moved_away_is_not_written_to(record: AwareRecord) -> None:
    record.folder.rename(record.folder.with_name("other"))
    with pytest.raises(StorageFault, match="moved or deleted"):
        record.keep_chip("x", 0, {"right": 1, "of": 2})


# ---- what the rows say ----------------------------------------------------------------------


def filled(record: AwareRecord) -> None:
    """Standard falls with both resistances; technology-aware by 1 point where a resistance is large."""
    file = record.file
    for seed, ideal in ((0, 90), (1, 92)):
        record.keep_network(jobs.Job("standard", seed, None, ()).key, _body(ideal), {})
        for condition in conditions(file):
            large = (condition.source > 0.01) + (condition.neuron > 0.01)
            for chip in range(3):
                fallen = {"standard": 20 * large + chip, "technology": min(large, 1)}
                for aware, fall in fallen.items():
                    record.keep_chip(
                        trial_key(aware, seed, condition), chip, {"right": ideal - fall, "of": 100}
                    )


def _body(right: int) -> dict[str, object]:
    return {"epochs": [], "right": right, "of": 100}


def test_falls_are_taken_from_the_same_seed_in_software(record: AwareRecord) -> None:
    filled(record)
    found = {(one.aware, one.condition.source, one.condition.neuron): one for one in answers(record)}
    one = found["standard", 0.1, 0.1]
    assert one.fall == pytest.approx((0.41, 0.41, 0.41))  # 40 and the mean of 0, 1, 2: of both seeds
    assert one.accuracy.value == pytest.approx((0.49 + 0.51) / 2)
    assert one.accuracy.high - one.accuracy.value == pytest.approx(12.706205 * 0.01, rel=1e-6)  # t, 1 dof
    assert (one.worst, one.networks, one.chips) == (pytest.approx(0.48), 2, 6)


def test_headlines(record: AwareRecord) -> None:
    filled(record)
    found = answers(record)
    heads = headlines(record, found)
    assert heads.ideal.value == pytest.approx(0.91)
    assert heads.worst is not None
    assert (heads.worst.condition.source, heads.worst.condition.neuron) == (0.1, 0.1)
    assert heads.recovered is not None
    assert heads.recovered.fall.value == pytest.approx(0.01)
    assert reach(found, 0.005) == 1e-3
    assert reach(found, 0.0101) == 0.1
    said = [part for part in aware_page(record).parts if isinstance(part, str)]
    assert any(line.startswith("largest fall on chips: 41.00 points") for line in said)


def test_nothing_is_said_where_there_is_nothing(record: AwareRecord) -> None:
    assert answers(record) == []
    page = aware_page(record)
    assert page.data["networks"] == 0
    assert json.dumps(page.data["answers"]) == "[]"
    assert charts([]) == []


def test_student_against_the_table() -> None:
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5))
    assert math.isnan(student([1.0]).low)
    assert share([0.95, 1.0]).high == 1.0
    assert share([0.5, 1.0], least=-1.0)[1:] == (-1.0, 1.0)
    assert math.isnan(share([0.95]).high)
    assert math.isnan(student([]).value)


# ---- pictures -------------------------------------------------------------------------------


def answer(technology: Technology, aware: str = "standard") -> Answer:
    known = Interval(0.9, 0.88, 0.92)
    return Answer(Condition.of(technology), aware, known, known, 0.8, 3, 60)


def every(sweep: Sweep) -> list[Answer]:
    base = Technology(variation=0.1)
    return [answer(one, aware) for one in sweep.technologies(base) for aware in sweep.aware]


def test_a_grid_has_a_line_for_each_neuron_resistance() -> None:
    (chart,) = charts(every(Sweep()))
    assert list(chart.panels) == ["standard", "calibrated", "technology"]
    lines = chart.panels["standard"]
    assert list(lines) == ["10⁻⁴", "10⁻³", "10⁻²"]
    assert [place for place, _ in lines["10⁻³"]] == [1e-4, 1e-3, 1e-2]
    assert all(one.condition.neuron == 1e-3 for _, one in lines["10⁻³"])


def test_diagonals_have_two_lines_that_meet() -> None:
    (chart,) = charts(every(Sweep(points="diagonals")))
    lines = chart.panels["technology"]
    assert {name: len(line) for name, line in lines.items()} == {"grows with Rs": 3, "falls as Rs grows": 3}


def test_what_else_is_varied_has_an_axis_of_its_own() -> None:
    sweep = Sweep(source=(0.0, 1e-3), neuron=(1e-3,), variation=(0.0, 0.1), tiles=((64, 64), (32, 32)))
    found = {chart.name: chart for chart in charts(every(sweep))}
    assert set(found) == {"resistance-sigma-10-array-any", "variation-array-any", "array-sigma-10"}
    assert [*found["variation-array-any"].ticks.values()] == ["0", "10"]
    assert list(found["variation-array-any"].panels["standard"]) == ["0, 0"]  # where it was varied
    assert [*found["array-sigma-10"].ticks.values()][:2] == ["32 x 32", "64 x 64"]
    assert not found["resistance-sigma-10-array-any"].log  # 0 has no place on a logarithmic axis


def test_a_point_beside_the_diagonals_makes_lines_by_neuron_resistance() -> None:
    beside = answer(Technology(variation=0.1, source=1.0, neuron=10.0), "standard")
    (chart,) = charts([*every(Sweep(points="diagonals")), beside])
    assert chart.by == "Rn / Ron"


def test_a_network_that_is_missing_leaves_a_gap_and_no_line_less() -> None:
    found = [one for one in every(Sweep()) if one.aware == "standard" or one.condition.neuron < 1e-3]
    (chart,) = charts(found)
    assert [len(line) for line in chart.panels["technology"].values()] == [3, 0, 0]


@pytest.mark.parametrize(
    ("ratio", "name"), [(1e-4, "10⁻⁴"), (3e-4, "3·10⁻⁴"), (0.0, "0"), (0.25, "0.25"), (0.05, "5·10⁻²")]
)
def test_names_of_ratios(ratio: float, name: str) -> None:
    assert ratio_name(ratio) == name


def test_a_sweep_that_asks_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="source"):
        file_of(tmp_path, FILE.replace("source = [1e-3, 1e-1]", "source = []"))


def test_names_of_conditions_tell_all_of_them_apart() -> None:
    base = Condition.of(Technology(source=1.0))
    others = [replace(base, tile=(8, 8)), replace(base, variation=0.1), replace(base, neuron=0.1)]
    assert len({one.key for one in [base, *others]}) == 4
