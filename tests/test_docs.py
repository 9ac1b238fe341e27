"""The documentation says what the code does: keys, units, defaults, and that its examples work."""

import doctest
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from labctl import cli
from labctl.aware.file import AwareFile, Sweep, read_aware
from labctl.bench import Bench, BenchFile
from labctl.characterize import PROCEDURES, TITLES, settings_of
from labctl.characterize.procedure import Column
from labctl.config import Quantity, Section, dump
from labctl.experiment import Experiment, images_of, read_experiment
from labctl.quantity import format_quantity
from labctl.stacked.settings import PartTable, StackedSettings
from labctl.study.conditions import expanded
from labctl.study.file import PLAIN, Axis, Claim, Headline, Other, Point, Question, StudyFile, read_study
from sim_backend.devices import parameters
from sim_backend.devices.model import Model
from sim_backend.devices.models import MODELS
from sim_backend.ngspice import NgspiceSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md"])
EXPERIMENT_PAGE = ROOT / "docs/reference/experiment-file.md"
BENCH_PAGE = ROOT / "docs/how-to/describe-a-bench.md"
CHARACTERIZATION_PAGE = ROOT / "docs/reference/characterization.md"
CHARACTERIZE_PAGE = ROOT / "docs/how-to/characterize-a-device.md"
STUDY_PAGE = ROOT / "docs/reference/study-file.md"
RUN_A_STUDY_PAGE = ROOT / "docs/how-to/run-a-study.md"
STACKED_PAGE = ROOT / "docs/reference/stacked-board.md"
AWARE_PAGE = ROOT / "docs/reference/aware-file.md"
TRAIN_PAGE = ROOT / "docs/how-to/train-for-a-crossbar.md"
BOARD_PAGE = ROOT / "docs/how-to/write-a-board.md"


# ---- pages of keys --------------------------------------------------------------------------


def sections(model: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every table of a file by its dotted path, the file's top first."""
    yield path, model
    for name, field in model.model_fields.items():
        if (table := table_of(field)) is not None:
            yield from sections(table, f"{path}.{field.alias or name}".lstrip("."))


def table_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def parts_of(annotation: Any, metadata: list[Any]) -> tuple[list[Any], list[Any]]:
    """Plain types and what is annotated to them, through unions and nesting."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        unpacked = [
            one for note in more for one in (note.metadata if isinstance(note, FieldInfo) else [note])
        ]
        return parts_of(inner, [*metadata, *unpacked])
    if get_origin(annotation) in (Union, UnionType, tuple):
        kinds, notes = list[Any](), list(metadata)
        for one in get_args(annotation):
            inner, notes = parts_of(one, notes)
            kinds += inner
        return kinds, notes
    return [annotation], metadata


def quantity_of(field: FieldInfo) -> Quantity | None:
    _, notes = parts_of(field.annotation, list(field.metadata))
    return next((note for note in notes if isinstance(note, Quantity)), None)


def default_of(field: FieldInfo) -> str:
    """As a person would write it in the file; "–" for none, "required" where there must be one."""
    if field.is_required():
        return "required"
    value, quantity = field.get_default(call_default_factory=True), quantity_of(field)
    if value is None or value == {} or isinstance(value, Section):
        return "–"
    if value == ():
        return "`[]`"
    if isinstance(value, tuple):
        unit = quantity.unit if quantity else ""
        texts = [format_quantity(one, unit, digits=None) if unit else one for one in value]
        many = [f'"{one}"' if isinstance(one, str) else str(one) for one in texts]
        return f"`[{', '.join(many)}]`"
    if quantity is not None:
        return f'`"{format_quantity(value, quantity.unit, digits=None)}"`'
    return f"`{str(value).lower()}`" if isinstance(value, bool | int | float) else f'`"{value}"`'


def allowed_of(field: FieldInfo) -> str:
    """What the model takes, in a few words."""
    kinds, notes = parts_of(field.annotation, list(field.metadata))
    if (quantity := quantity_of(field)) is not None:
        return range_of(quantity)
    for kind in kinds:
        if get_origin(kind) is Literal:
            return ", ".join(f'`"{one}"`' for one in get_args(kind))
    bounds = list(dict.fromkeys(f"{word} {bound}" for note in notes for word, bound in bound_of(note)))
    whole = "an array of whole numbers" if get_origin(field.annotation) is tuple else "a whole number"
    names = {bool: "`true`, `false`", int: whole, float: "a number", str: "text"}
    named = next((names[kind] for kind in kinds if kind in names), "a table")
    return ", ".join([named, *bounds])


def bound_of(note: Any) -> Iterator[tuple[str, int]]:
    if (above := getattr(note, "gt", None)) is not None:
        yield "above", above
    if (least := getattr(note, "ge", None)) is not None:
        yield "at least", least
    if (most := getattr(note, "le", None)) is not None:
        yield "at most", most


def range_of(quantity: Quantity) -> str:
    unit = quantity.unit
    low = f"above {quantity.above:g}" if quantity.above > -1 else f"from {quantity.least:g}"
    if quantity.above < 0 and quantity.least < -1e300:
        low = "any"
    high = f" to {quantity.most * 100:g}" if unit == "%" else ""
    return f"{low}{high} {unit}"


def rows_under(page: Path, table: str) -> dict[str, list[str]]:
    """Key -> the cells beside it, of the table below the heading that names this table of the file."""
    title = f"`[{table}]`" if table else "Top of the file"
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}[^\n]*\n(.*?)(?=^###? |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page.name} has no heading for {title}"
    lines = [line for line in found[1].splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


STUDY_TABLES: dict[str, type[Section]] = {
    "": StudyFile,
    "[question]": Question,
    "question.vary": Axis,
    "question.vary.points": Point,
    "[headline]": Headline,
    "[claim]": Claim,
    "claim.against": Other,
}
TABLES = [
    *[(EXPERIMENT_PAGE, table, model) for table, model in sections(Experiment)],
    *[(BENCH_PAGE, table, model) for table, model in sections(BenchFile)],
    *[(BENCH_PAGE, f"board{'.' * bool(table)}{table}", model) for table, model in sections(NgspiceSettings)],
    *[(CHARACTERIZATION_PAGE, name, settings_of(name)) for name in TITLES],
    (STACKED_PAGE, "board", StackedSettings),
    (STACKED_PAGE, "[board.parts]", PartTable),
    *[(STUDY_PAGE, table, model) for table, model in STUDY_TABLES.items()],
    *[(AWARE_PAGE, table, model) for table, model in [*sections(AwareFile), ("sweep", Sweep)]],
]


@pytest.mark.parametrize(
    ("page", "table", "model"), TABLES, ids=[f"{page.stem}:{table}" for page, table, _ in TABLES]
)
def test_a_page_has_every_key_of_its_file_and_no_other(page: Path, table: str, model: type[Section]):
    keys = {field.alias or name for name, field in model.model_fields.items() if table_of(field) is None}
    assert set(rows_under(page, table)) == keys


@pytest.mark.parametrize(
    ("page", "table", "model"), TABLES, ids=[f"{page.stem}:{table}" for page, table, _ in TABLES]
)
def test_a_page_has_the_defaults_and_ranges_of_the_code(page: Path, table: str, model: type[Section]):
    rows = rows_under(page, table)
    told = {key: cells[:2] for key, cells in rows.items()}
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    assert told == {key: [default_of(fields[key]), allowed_of(fields[key])] for key in told}
    assert all(cells[2] for cells in rows.values()), "a key without a meaning"


def columns_under(heading: str) -> list[tuple[str, str, bool]]:
    """Name, unit and whether there is a meaning, of the table below this heading of characterizations."""
    text = CHARACTERIZATION_PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{CHARACTERIZATION_PAGE.name} has no heading {heading}"
    lines = [line.strip("| ").split(" | ") for line in found[1].splitlines() if line.startswith("| `")]
    return [(cells[0].strip("`"), cells[1], bool(cells[2])) for cells in lines]


@pytest.mark.parametrize("name", PROCEDURES)
def test_the_page_of_characterizations_has_the_columns_and_figures_of_the_code(name: str):
    def told(columns: tuple[Column, ...]) -> list[tuple[str, str, bool]]:
        return [(one.name, one.unit or "text", True) for one in columns]

    assert columns_under(f"Columns of `{name}`") == told(PROCEDURES[name].columns)
    assert columns_under(f"Figures of `{name}`") == told(PROCEDURES[name].figures)


@pytest.mark.parametrize("page", [CHARACTERIZATION_PAGE, CHARACTERIZE_PAGE], ids=lambda page: page.stem)
def test_every_command_that_characterizes_works(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On the twin, where it takes the path of the page's bench; runs are kept apart."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    for name, text in settings_files(page):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for folder in ("benches", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("labctl ")]
    assert commands
    for command in commands:
        assert cli.run(command[1:]) == 0, capsys.readouterr().err


def settings_files(page: Path) -> list[tuple[str, str]]:
    """Name and text of each TOML file that a page shows; its first line is its name."""
    blocks = re.findall(r"```toml\n(# (\S+\.toml)\n.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [(name, text) for text, name in blocks]


# ---- what is told of files and devices ------------------------------------------------------


@pytest.mark.parametrize("path", sorted(ROOT.glob("benches/*.toml")), ids=lambda path: path.stem)
def test_every_bench_file_makes_a_board(path: Path):
    assert Bench.read(path).board(ROOT).spec.sites


@pytest.mark.parametrize(
    "path",
    [
        one
        for one in sorted(ROOT.glob("examples/*.toml"))
        if ".images." not in one.name and not one.name.startswith("aware-")
    ],
    ids=lambda p: p.stem,
)
def test_every_example_is_an_experiment_with_images_and_a_bench(path: Path):
    experiment = read_experiment(path)
    assert len(images_of(experiment, path.parent)) > 1
    assert (path.parent / str(experiment.bench)).is_file()


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/aware-*.toml")), ids=lambda path: path.stem)
def test_every_aware_example_can_be_read(path: Path):
    assert read_aware(path).name == path.stem


@pytest.mark.parametrize("path", sorted(ROOT.glob("studies/*.toml")), ids=lambda path: path.stem)
def test_every_study_file_can_be_asked(path: Path):
    assert expanded(read_study(path), path.parent).conditions


def test_the_page_of_study_files_has_every_figure():
    text = STUDY_PAGE.read_text(encoding="utf-8").partition("## Figures")[2]
    told = [name for line in text.splitlines() for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])]
    assert [name for name in told if " noise" not in name and " flips" not in name] == list(PLAIN)


def test_the_commands_of_the_page_of_studies_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As they stand there, with one chip in place of four and of twenty."""
    for name, text in settings_files(RUN_A_STUDY_PAGE):
        (tmp_path / name).write_text(text.replace("chips = 20", "chips = 1"))
    monkeypatch.chdir(tmp_path)
    for folder in ("benches", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "README.md").write_text("<!-- study error -->\n<!-- end of study error -->\n")
    blocks = re.findall(r"```sh\n(.*?)```", RUN_A_STUDY_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in "".join(blocks).splitlines()]
    assert len(commands) == 6
    for command in commands:
        workers = ["--workers", "1"] if command[1] == "study" else []
        assert cli.run([*command[1:], *workers]) == 0, capsys.readouterr().err
    assert "labctl study error.toml --question conductance-error" in Path("README.md").read_text()


def test_the_commands_of_the_page_of_training_for_a_crossbar_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As they stand there, but for `make data`, which needs the net, and for the chip, tested elsewhere."""
    for name, text in settings_files(TRAIN_PAGE):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)```", TRAIN_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in "".join(blocks).splitlines()]
    assert len(commands) == 10
    for command in commands:
        if command[0] == "labctl" and "chip" not in command:
            assert cli.run(command[1:]) == 0, capsys.readouterr().err


def test_the_page_of_experiments_shows_a_file_with_every_default():
    blocks = re.findall(r"```toml\n(.*?)```", EXPERIMENT_PAGE.read_text(encoding="utf-8"), re.DOTALL)
    written = tomllib.loads(blocks[-1])
    default = without_none(dump(Experiment(name="letters", bench="../benches/network-cr-ngspice.toml")))
    assert written == default


def without_none(table: dict[str, Any]) -> dict[str, Any]:
    """Tables as TOML can hold them, which has no null and whose empty tables say nothing."""
    kept = {key: without_none(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_the_page_of_devices_has_the_numbers_of_the_parameter_files(model: Model):
    text = (ROOT / "docs/reference/devices.md").read_text(encoding="utf-8")
    found = re.search(rf"^## [^\n]*\(`{model.name}`\)\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert found, f"no heading with `{model.name}`"
    lines = [line for line in found[1].splitlines() if line.startswith("| `")]
    told = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    devices = [parameters.load(dopant, model.name) for dopant in ("W", "Sn", "Cr", "C")]
    assert told == [
        [f"`{one.name}`", one.unit or "–", one.meaning, *(f"{each.values[one.name]:.4g}" for each in devices)]
        for one in model.parameters
    ]


# ---- what can be done by following a page ----------------------------------------------------


def test_the_board_of_the_page_passes_labctl_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Its class saved as a file, its bench file beside it, and the command that the page gives."""
    text = BOARD_PAGE.read_text(encoding="utf-8")
    sources = [one.source for one in doctest.DocTestParser().get_examples(text)]
    last = next(index for index, source in enumerate(sources) if source.startswith("class Resistors"))
    (tmp_path / "resistors.py").write_text("".join(sources[: last + 1]))
    bench = next(block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL))
    (tmp_path / "resistors.toml").write_text(bench)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.run(["check", "resistors.toml", "--programming", "--yes"]) == 0
    told = capsys.readouterr().out.strip().splitlines()[-1]
    assert told in text


def test_the_tutorial_tells_what_its_commands_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """On ngspice, as the page says."""
    monkeypatch.chdir(ROOT)
    command = ["train", "examples/letters.toml"]
    assert cli.run([*command, "--runs", str(tmp_path), "--name", "first"]) == 0
    told = capsys.readouterr().out.splitlines()
    counts = [line.split()[:2] for line in told if line.split()[:1] in (["read"], ["program"], ["total"])]
    shown = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8").split("```")[5]
    assert counts == [
        line.split()[:2]
        for line in shown.splitlines()
        if line.split()[:1] in (["read"], ["program"], ["total"])
    ]
    assert [line for line in told if "patterns right" in line or "synapses" in line] == [
        line for line in shown.splitlines() if "patterns right" in line or "synapses" in line
    ]


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_between_pages_leads_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        other = page.parent / path if path else page
        assert other.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, titles), target
