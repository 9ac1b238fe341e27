"""Reports: one HTML file that is well-formed, harmless, whole, and says what the record says."""

import base64
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl import cli
from labctl.checkout import commit
from labctl.document.cited import shown
from labctl.document.html import Markup, page, picture, tag, text
from labctl.document.readme import between
from labctl.document.told import Told
from labctl.document.writing import alt_of
from labctl.errors import BadConfig
from labctl.report.study_chart import Chart
from labctl.report.study_pictures import charts
from labctl.runfolder import STUDY
from labctl.study.answers import answers
from labctl.study.conditions import expanded
from labctl.study.costs import costs, failures
from labctl.study.file import read_study
from labctl.study.record import StudyRecord

ROOT = Path(__file__).resolve().parent.parent
CHIPS = 9
PNG = b"\x89PNG\r\n\x1a\n"
EMPTY = {"br", "img", "meta"}

FILE = """
name = "trial"
title = "Trials of <script>alert(1)</script> & \\"quotes\\""
experiment = "{root}/examples/letters.toml"
bench = "{root}/benches/network-cr-twin.toml"
chips = {chips}

[change.training.testing]
noise = ["0 %", "20 %"]

[[question]]
name = "error"
title = "Accuracy against conductance error"
shows = ["accuracy", "accuracy at 20 % noise", "energy"]
vary = {{ name = "conductance error", key = "training.missed.error", unit = "%", values = ["0 %", "10 %"] }}
by = {{ name = "dopant", key = "board.dopant", values = ["Cr", "W"] }}
says = "What an error costs."

[[question]]
name = "noise"
title = "Accuracy against noise"
vary = {{ name = "noise", levels = "noise" }}

[[question]]
name = "reset"
title = "With and without reset"
shows = ["time", "pulses"]

[question.vary]
name = "reset"
points = [{{ label = "without" }}, {{ label = "with", change = {{ training.reset.enabled = true }} }}]

[[headline]]
says = "Accuracy | at 10 % error"
question = "error"
metric = "accuracy"
series = "Cr"
x = "10 %"

[[headline]]
says = "Energy of Cr against W"
question = "error"
metric = "energy"
series = "Cr"
x = "0 %"
against = {{ series = "W" }}

[[claim]]
source = "a paper"
says = "An error of 10 % is tolerated"
question = "error"
metric = "accuracy"
series = "Cr"
x = "10 %"
against = {{ x = "0 %" }}
comparable = "In part: <b>definitions</b> differ."

[[claim]]
source = "a paper"
says = "Something else"
comparable = "No."
"""


def row(chip: int, cost: float = 1.0) -> dict[str, Any]:
    """What a chip of that number might come to."""
    rng = np.random.default_rng(chip)
    right = int(rng.integers(24, 31))
    used = cost * (1 + 0.1 * float(rng.random()))
    return {
        "right": right,
        "patterns": 30,
        "tested": [
            {"disturbance": "noise", "level": 0.0, "right": 10 * right, "of": 300},
            {"disturbance": "noise", "level": 0.2, "right": 9 * right, "of": 300},
        ],
        "within_2": 30,
        "within_5": 30,
        "given_up": 0,
        "sites": 30,
        "tariff": [0.0, 0.0],
        "bill": {
            "program": [200, 3e-7 * used, 2e-7 * used, 1e-7 * used, 0.1 * used, 0.0, 0.01, 0.02],
            "infer": [630, 6e-8, 5e-8, 1e-8, 0.0, 0.03, 0.001, 0.002],
        },
        "tests": [600, 5.5e-8, 4.6e-8, 0.9e-8, 0.0, 0.029, 0.0009, 0.0019],
    }


def studied(
    folder: Path,
    name: str = "trial",
    rows: Callable[[int, int], dict[str, Any]] = lambda place, chip: row(chip, 1.0 + 4 * place),
    done: int = CHIPS,
    change: Callable[[str], str] = str,
) -> Path:
    """A study whose chips were made up; the folder of runs."""
    source = folder / "trial.toml"
    source.write_text(change(FILE.format(root=ROOT, chips=CHIPS)))
    study = expanded(read_study(source), source.parent)
    runs = folder / "runs"
    with StudyRecord.create(runs, name, study, str(source)) as record:
        for place, key in enumerate(study.conditions):
            record.keep(key, {chip: rows(place, chip) for chip in range(done)})
        if done:
            record.keep_spell("2 processes", done * len(study.conditions), 4.0)
    return runs


def report(runs: Path, *arguments: str, name: str = "trial") -> int:
    return cli.run(["report", name, "--runs", str(runs), *arguments])


class Parsed(HTMLParser):
    """What a browser would make of it; raises where a tag is not closed."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words = list[str](), list[tuple[str, dict[str, str]]](), list[str]()
        self.tables = list[list[list[str]]]()
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {key: value or "" for key, value in attrs}
        assert len(named) == len(attrs), "an attribute twice"
        self.tags.append((tag, named))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a finished study, reported."""
    made = studied(tmp_path_factory.mktemp("finished"))
    assert report(made) == 0
    return made


@pytest.fixture(scope="module")
def parsed(runs: Path) -> Parsed:
    return Parsed((runs / "trial/report.html").read_text(encoding="utf-8"))


# ---- the page of a study --------------------------------------------------------------------


def test_every_number_of_the_tables_is_an_answer_of_the_record(runs: Path, parsed: Parsed) -> None:
    with StudyRecord.open(runs, "trial") as record:
        known = answers(record)
    assert len(known) == 3 * 4 + 2 + 4
    told = [line for table in parsed.tables if "median" in (table[0] if table else []) for line in table[1:]]
    expected = [
        [
            *([one.series] if one.series else []),
            one.x,
            shown(one.metric, one.median.value),
            told[index][-6],  # the interval: beside
            told[index][-5],
            shown(one.metric, one.mean),
            shown(one.metric, one.worst),
            str(one.chips),
            str(one.failed),
        ]
        for index, one in enumerate(known)
    ]
    assert told == expected
    for line, one in zip(told, known, strict=True):
        for cell, (low, high) in ((line[-6], one.median[1:]), (line[-5], one.quartiles)):
            first, last = shown(one.metric, low), shown(one.metric, high)
            assert cell in (f"{first} to {last}", f"{first.partition(' ')[0]} to {last}")


def test_the_numbers_are_beside_it_for_other_programs(runs: Path) -> None:
    data = json.loads((runs / "trial/answers.json").read_text(encoding="utf-8"))
    with StudyRecord.open(runs, "trial") as record:
        known = answers(record)
        assert data["fingerprint"] == record.fingerprint()
    assert [one["median"][0] for one in data["answers"]] == [one.median.value for one in known]
    assert (data["chips"], data["of"]) == (CHIPS * 5, CHIPS * 5)
    assert [one["found"] for one in data["claims"]][1] == "not asked in this study"


def test_every_picture_is_a_png_and_stands_in_the_page(runs: Path, parsed: Parsed) -> None:
    images = parsed.all("img")
    files = sorted((runs / "trial").glob("*.png"))
    inside = sorted(base64.b64decode(one["src"].removeprefix("data:image/png;base64,")) for one in images)
    assert inside == sorted(path.read_bytes() for path in files)
    assert len(files) == 3 + 1 + 2 + 1
    for path in files:
        content = path.read_bytes()
        assert content.startswith(PNG)
        assert len(content) > 10_000
    assert all(len(one["alt"]) > 20 for one in images)


def test_each_question_has_the_command_that_makes_it_again(parsed: Parsed) -> None:
    assert "--question error" in parsed.text
    assert "--question reset" in parsed.text
    assert "--chips" not in parsed.text


def test_bill_and_provenance_are_told(runs: Path, parsed: Parsed) -> None:
    with StudyRecord.open(runs, "trial") as record:
        key = next(iter(record.study().conditions))
        bill, fingerprint = costs(record.rows(key)), record.fingerprint()
    assert list(bill) == ["program", "infer", "total"]
    assert bill["program"].joules[0] == pytest.approx(bill["program"].joules[1:].sum(), rel=1e-2)
    table = next(one for one in parsed.tables if one and one[0][:2] == ["purpose", "pulses"])
    assert [line[:2] for line in table[1:]] == [["program", "200"], ["infer", "630"], ["total", "830"]]
    for told in (fingerprint, "2 processes", "seed n", "differs in", commit()[:12] or "labctl", "11.2"):
        assert told in parsed.text


def test_the_claims_stand_beside_what_was_found(parsed: Parsed) -> None:
    table = next(one for one in parsed.tables if one and one[0][0] == "what is said")
    assert [line[2] for line in table[1:]] == ["In part: <b>definitions</b> differ.", "No."]
    assert "+0.00 points" in table[1][1]
    assert table[2][1] == "not asked in this study"
    headlines = next(one for one in parsed.tables if one and one[0] == ["what", "found"])
    assert re.search(r"% less.*95 % interval .* %; 9 chips, chip by chip", headlines[2][1])


def test_a_title_can_do_no_harm(parsed: Parsed) -> None:
    assert 'Trials of <script>alert(1)</script> & "quotes"' in parsed.text
    assert parsed.all("script") == []
    assert not [key for _, attributes in parsed.tags for key in attributes if key.startswith("on")]
    assert {"main", "figure", "details", "nav"} <= {name for name, _ in parsed.tags}
    links = [one["href"] for one in parsed.all("a")]
    anchors = {attributes["id"] for _, attributes in parsed.tags if "id" in attributes}
    assert all(link.startswith("#") and link[1:] in anchors for link in links)


def test_the_same_record_gives_the_same_page(runs: Path) -> None:
    before = (runs / "trial/report.html").read_bytes()
    assert report(runs) == 0
    assert (runs / "trial/report.html").read_bytes() == before


def test_a_browser_shows_every_picture(runs: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium here to show the page with (Debian: apt-get install chromium)")
    source = (runs / "trial/report.html").read_text(encoding="utf-8")
    probe = (
        "<script>addEventListener('load', () => { const all = [...document.images];"
        "document.title = all.length + ' ' + all.filter(i => i.complete && i.naturalWidth > 500).length; });"
        "</script></body>"
    )
    looser = re.sub(r"<meta http-equiv=[^>]*>", "", source)  # its policy would refuse this script
    assert looser != source
    path = tmp_path / "probe.html"
    path.write_text(looser.replace("</body>", probe), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown_as = subprocess.run(
        [browser, *options, "--virtual-time-budget=5000", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "<title>7 7</title>" in shown_as.stdout, shown_as.stderr[-500:]


# ---- what is not as it should be ------------------------------------------------------------


def test_a_study_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = studied(tmp_path, done=0)
    assert report(made) == 1
    found = Parsed((made / "trial/report.html").read_text(encoding="utf-8"))
    assert "Nothing is done yet" in found.text
    assert "labctl resume trial" in found.text
    target = tmp_path / "page.md"
    target.write_text("<!-- study trial -->\n<!-- end of study trial -->\n")
    assert report(made, "--into", str(target)) == 2
    assert "no chip is done" in capsys.readouterr().err


def test_chips_that_failed_or_have_no_number_are_told_and_no_part_of_a_median(tmp_path: Path) -> None:
    def rows(place: int, chip: int) -> dict[str, Any]:
        if chip < 2:
            return {"error": "LimitExceeded", "wrong": "0.3 mA through <site> w0-0"}
        good = row(chip)
        if chip == 2:
            good["bill"]["program"][1] = float("nan")
        return good

    made = studied(tmp_path, rows=rows)
    assert report(made) == 0
    found = Parsed((made / "trial/report.html").read_text(encoding="utf-8"))
    table = next(one for one in found.tables if one and one[0] == ["condition", "failed", "chips", "error"])
    assert table[1][1:] == ["2", "number 0, 1", "LimitExceeded: 0.3 mA through <site> w0-0"]
    assert len(table) == 1 + 5
    data = json.loads((made / "trial/answers.json").read_text(encoding="utf-8"))
    failed = {(one["metric"], one["failed"]) for one in data["answers"]}
    assert {("accuracy", 2), ("energy", 3), ("time", 2)} <= failed


def test_chips_that_all_failed_leave_dashes_and_no_picture(tmp_path: Path) -> None:
    made = studied(tmp_path, rows=lambda place, chip: {"error": "BoardGone", "wrong": "x"})
    assert report(made) == 0
    found = Parsed((made / "trial/report.html").read_text(encoding="utf-8"))
    assert found.all("img") == []
    assert "No chip has answered this yet" in found.text
    assert "Nothing was driven yet" in found.text
    assert cli.run(["show", "trial", "--runs", str(made)]) == 0


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE chip SET body = '{' WHERE chip = 3",
        "UPDATE chip SET body = '[]'",
        "UPDATE chip SET body = '{\"right\": 1}'",
        "DELETE FROM condition",
        "DELETE FROM meta WHERE key = 'study'",
        "UPDATE meta SET value = '{\"name\": 3}' WHERE key = 'study'",
        "UPDATE meta SET value = '[[]]' WHERE key = 'asked'",
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    made = studied(tmp_path)
    with closing(sqlite3.connect(made / "trial" / STUDY)) as connection:
        connection.execute(damage)
        connection.commit()
    for command in ("report", "show"):
        assert cli.run([command, "trial", "--runs", str(made)]) == 2
        assert "cannot be read" in capsys.readouterr().err
    assert cli.run(["runs", "--runs", str(made)]) == 0


def test_what_is_neither_run_nor_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "nothing", ".."):
        assert report(tmp_path, name=name) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.html.part", "answers.json.part", "bill.png.part"])
def test_a_folder_that_takes_no_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    made = studied(tmp_path)
    (made / "trial" / name).mkdir()  # where a file is to be: also root cannot write it
    assert report(made) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ('question = "error"\nmetric = "energy"', 'question = "errors"\nmetric = "energy"', "no question"),
        ('metric = "energy"\nseries', 'metric = "pulses"\nseries', "does not show"),
        ('series = "W"', 'series = "C"', "no series"),
        ('against = { x = "0 %" }', 'against = { x = "5 %" }', "no point"),
    ],
)
def test_a_citation_that_leads_nowhere_is_refused(tmp_path: Path, old: str, new: str, wrong: str) -> None:
    written = FILE.format(root=ROOT, chips=1)
    assert old in written
    path = tmp_path / "astray.toml"
    path.write_text(written.replace(old, new))
    with pytest.raises(BadConfig, match=wrong):
        read_study(path)


def test_a_difference_of_no_pair_of_chips_is_no_number(tmp_path: Path) -> None:
    def rows(place: int, chip: int) -> dict[str, Any]:
        return row(chip) if chip % 2 == place % 2 else {"error": "NoConvergence", "wrong": "x"}

    made = studied(tmp_path, rows=rows)
    assert report(made) == 0
    found = Parsed((made / "trial/report.html").read_text(encoding="utf-8"))
    assert "no chip has answered both yet" in found.text
    assert not re.search(r"\bnan\b", found.text)


def test_a_study_with_more_chips_than_its_file_says_is_asked_for_again_with_as_many(tmp_path: Path) -> None:
    (tmp_path / "trial.toml").write_text(FILE.format(root=ROOT, chips=3))
    study = expanded(read_study(tmp_path / "trial.toml"), tmp_path, chips=5)
    with StudyRecord.create(tmp_path, "trial", study, "trial.toml"):
        assert report(tmp_path) == 1
    found = Parsed((tmp_path / "trial/report.html").read_text(encoding="utf-8"))
    assert found.text.count("--chips 5") == 3


def test_a_link_in_a_folder_does_not_lead_a_report_elsewhere(tmp_path: Path) -> None:
    made, victim = studied(tmp_path), tmp_path / "victim"
    victim.write_text("mine")
    for name in ("report.html.part", "answers.json.part"):
        (made / "trial" / name).symlink_to(victim)
    assert report(made) == 0
    assert victim.read_text() == "mine"


def test_the_name_of_a_study_file_puts_no_comment_into_a_page(tmp_path: Path) -> None:
    made = studied(tmp_path)
    with closing(sqlite3.connect(made / "trial" / STUDY)) as connection:
        wrong = json.dumps("a\n<!-- end of study trial -->\n.toml")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'source'", [wrong])
        connection.commit()
    page_file = tmp_path / "page.md"
    page_file.write_text("<!-- study trial -->\n<!-- end of study trial -->\n")
    for _ in range(2):
        assert report(made, "--into", str(page_file)) == 0


# ---- figures in a page of Markdown ----------------------------------------------------------


def test_figures_are_put_into_a_page_once_and_for_all(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "README.md"
    target.write_text("# Top\n<!-- study trial -->\nold\n<!-- end of study trial -->\nEnd\n")
    assert report(runs, "--into", str(target)) == 0
    first = target.read_text()
    assert first.startswith("# Top\n<!-- study trial -->\n| what | figure | command |\n")
    assert first.endswith("<!-- end of study trial -->\nEnd\n")
    assert "| Accuracy \\| at 10 % error | " in first
    assert "&lt;b>definitions" in first
    assert "old" not in first
    assert report(runs, "--into", str(target)) == 0
    assert target.read_text() == first
    assert "says so already" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [
        "nothing",
        "<!-- study x -->",
        "<!-- end of study x --><!-- study x -->",
        "<!-- study x --><!-- study x --><!-- end of study x -->",
    ],
)
def test_a_page_without_its_comments_is_refused(content: str) -> None:
    with pytest.raises(BadConfig, match="does not say where"):
        between(content, "x", "new", "page.md")


def test_a_page_that_cannot_be_read_is_refused(runs: Path, tmp_path: Path) -> None:
    assert report(runs, "--into", str(tmp_path / "none.md")) == 2
    (tmp_path / "latin.md").write_bytes(b"\xff<!-- study trial -->")
    assert report(runs, "--into", str(tmp_path / "latin.md")) == 2


# ---- other commands know studies ------------------------------------------------------------


def test_show_runs_and_bill_know_studies(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["show", "trial", "--runs", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chips"] == 5 * CHIPS
    assert cli.run(["runs", "--runs", str(runs), "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["runs"]
    assert (listed["run"], listed["kind"], listed["state"]) == ("trial", "study", "finished")
    assert cli.run(["bill", "trial", "--runs", str(runs)]) == 2
    assert "no journal of pulses" in capsys.readouterr().err


# ---- pictures -------------------------------------------------------------------------------


def chart_of(runs: Path, name: str) -> Chart:
    with StudyRecord.open(runs, "trial") as record:
        told = Told(record)
        return next(one for one in charts(told.study, told.answers) if one.name == name)


def test_which_picture_and_which_axis_follow_from_the_points(runs: Path) -> None:
    lines, rows = chart_of(runs, "error--accuracy-at-20-noise"), chart_of(runs, "reset--time")
    assert (lines.numeric, rows.numeric) == (True, False)
    assert lines.scale == (100.0, "%")
    assert list(lines.series) == ["Cr", "W"]
    assert not lines.logarithmic
    energy = chart_of(runs, "error--energy")
    assert energy.logarithmic == (float(energy.values.max() / energy.values.min()) > 8)
    assert "Cr: 0 % " in alt_of(lines)


# ---- HTML -----------------------------------------------------------------------------------


def test_what_is_no_markup_is_text() -> None:
    assert text("<a & \"b\" 'c'>") == "&lt;a &amp; &quot;b&quot; &#x27;c&#x27;&gt;"
    assert tag("p", "a<b", tag("b", "c"), class_='x"y') == '<p class="x&quot;y">a&lt;b<b>c</b></p>'
    assert text("\x00\x1b[31m\u202e") == "\\x00\\x1b[31m\\u202e"
    assert isinstance(text(["a", tag("i", "b")]), Markup)


def test_a_page_loads_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    found = Parsed(page("<t>", picture(tmp_path / "a.png", 'alt"<>')))
    policy = next(one for one in found.all("meta") if "http-equiv" in one)
    assert "default-src 'none'" in policy["content"]
    assert found.all("img") == [{"src": "data:image/png;base64,iVBORw0KGgo=", "alt": 'alt"<>'}]
    assert found.all("link") == found.all("script") == []


def test_failures_that_are_alike_are_told_together() -> None:
    rows = {0: {"error": "A", "wrong": "x"}, 1: row(1), 2: {"error": "B"}, 5: {"error": "A", "wrong": "x"}}
    assert [(one.chips, one.error, one.wrong) for one in failures(rows)] == [
        ((0, 5), "A", "x"),
        ((2,), "B", ""),
    ]
    assert costs({0: rows[0]}) == {}


# ---- runs -----------------------------------------------------------------------------------


def test_the_report_of_a_training_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    bench = "benches/network-cr-twin.toml"
    command = ["train", "examples/letters.toml", "--bench", bench, "--runs", str(tmp_path), "--name", "one"]
    assert cli.run(command) == 0
    assert report(tmp_path, name="one") == 0
    found = Parsed((tmp_path / "one/report.html").read_text(encoding="utf-8"))
    assert len(found.all("img")) == 4
    sites = next(one for one in found.tables if one and one[0][:2] == ["site", "target"])
    assert len(sites) == 31
    assert {line[-1] for line in sites[1:]} == {"within tolerance"}
    assert "30 of 30, on the chip's own neurons" in found.text
    assert "agrees with what was booked" in found.text
    assert f"labctl train letters.toml --bench {bench}" in found.text
    assert report(tmp_path, "--into", "README.md", name="one") == 2


def test_the_report_of_a_characterization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    bench = "benches/selector-cr-twin.toml"
    assert (
        cli.run(["characterize", "iv", bench, "--site", "M1", "--runs", str(tmp_path), "--name", "iv"]) == 0
    )
    assert report(tmp_path, name="iv") == 0
    found = Parsed((tmp_path / "iv/report.html").read_text(encoding="utf-8"))
    assert len(found.all("img")) == 1
    assert "device voltage of the set threshold" in found.text
    assert f"labctl characterize iv {bench} --site=M1" in found.text


# ---- which commit ---------------------------------------------------------------------------


def test_the_commit_is_read_from_the_files_of_the_checkout(tmp_path: Path) -> None:
    one, other = "a" * 40, "b" * 40
    git = tmp_path / "here/.git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path / "here") == ""
    (git / "packed-refs").write_text(f"# pack-refs\n{other} refs/heads/main\n")
    assert commit(tmp_path / "here") == other
    (git / "refs/heads/main").write_text(one + "\n")
    assert commit(tmp_path / "here") == one
    (git / "HEAD").write_text(other)
    assert commit(tmp_path / "here") == other
    (git / "HEAD").write_text("no hash")
    assert commit(tmp_path / "here") == ""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/.git").write_text(f"gitdir: {git}\n")
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit(tmp_path / "there") == one
    assert commit(tmp_path) == ""
