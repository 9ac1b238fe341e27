"""`labctl study`: the same questions asked of many chips, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl import console
from labctl.commands.hardware import Hardware, confirm
from labctl.commands.options import RUNS, Json, Runs, Yes, ask_before_wear, say
from labctl.console import Exit
from labctl.errors import BadConfig, Refused

if TYPE_CHECKING:
    from labctl.commands.study_progress import StudyProgress
    from labctl.study.conditions import Study
    from labctl.study.record import StudyRecord
    from labctl.study.workers import Workers

STUDIES = Path("studies")
StudyName = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (TOML), or the name of one in studies/.")
]
Questions = Annotated[
    list[str] | None, typer.Option("--question", metavar="NAME", help="Only this one; again for more.")
]
Chips = Annotated[
    int | None, typer.Option("--chips", min=1, metavar="N", help="Of each condition, in place of the file's.")
]
WorkerCount = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Processes here; else one a processor.")
]
Scheduler = Annotated[
    str | None,
    typer.Option("--scheduler", metavar="ADDRESS", help="Hand the work to a Dask cluster (extra `cluster`)."),
]
OtherBench = Annotated[
    Path | None, typer.Option("--bench", metavar="FILE", help="In place of the bench that it names.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
RunName = Annotated[str | None, typer.Option("--name", help="Of the study's folder; else STUDY-DATE-TIME.")]


def study(
    study: StudyName,
    question: Questions = None,
    chips: Chips = None,
    bench: OtherBench = None,
    workers: WorkerCount = None,
    scheduler: Scheduler = None,
    dry_run: DryRun = False,
    runs: Runs = RUNS,
    name: RunName = None,
    yes: Yes = False,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Ask a study's questions of many simulated chips, or of the one on a bench, and keep every answer."""
    from datetime import UTC, datetime

    from labctl.pages.study import outline_page
    from labctl.running import new_name
    from labctl.study.record import StudyRecord
    from labctl.study_run import preflight

    path = file_of(study)
    asked = _asked(path, tuple(question or ()), chips, bench)
    if dry_run:
        console.show(outline_page(asked), as_json)
        return Exit.DONE
    _agreed(asked, yes, hardware)
    preflight(asked)
    called = name or new_name(asked.file.name, runs, datetime.now(UTC))
    total = sum(condition.chips for condition in asked.conditions.values())
    say(f"{called}: {len(asked.conditions)} conditions, {total} chips", as_json)
    StudyRecord.create(runs, called, asked, str(path)).close()
    return go_on(runs, called, workers, scheduler, as_json)


def go_on(base: Path, name: str, workers: int | None, scheduler: str | None, as_json: bool) -> int:
    """Do what is left of a study, and answer."""
    from labctl.commands.follow_record import follow_record
    from labctl.pages.study import study_page
    from labctl.study.record import StudyRecord
    from labctl.study_run import run_study

    def work(record: StudyRecord, progress: StudyProgress, stop: Callable[[], bool]) -> float:
        hands = _workers(record, workers, scheduler)
        return run_study(record, hands, progress.told, progress.watch, stop).seconds

    return follow_record(StudyRecord, base, name, work, study_page, as_json)


def file_of(study: str) -> Path:
    """The file that this names: a path, or a name in studies/."""
    path = Path(study)
    named = STUDIES / f"{study}.toml"
    if path.suffix == ".toml" or path.is_file() or not named.is_file():
        if path.suffix != ".toml" and not path.is_file():
            there = ", ".join(sorted(one.stem for one in STUDIES.glob("*.toml"))) or "none here"
            raise BadConfig(f"there is no study {study!r}", allowed=f"the path of a study file, or {there}")
        return path
    return named


def _asked(path: Path, questions: tuple[str, ...], chips: int | None, bench: Path | None) -> Study:
    from labctl.study.conditions import expanded
    from labctl.study.file import only, read_study

    file = only(read_study(path), questions)
    if bench is not None:
        file = file.model_copy(update={"bench": str(bench.resolve())})
    return expanded(file, path.parent, chips=chips)


def _agreed(asked: Study, yes: bool, hardware: bool) -> None:
    """Boards that are there are worn, and there is one of each."""
    from labctl.bench import Bench

    real = {one.bench_source for one in asked.conditions.values() if one.bench["kind"] == "board"}
    for bench in map(Bench.read, map(Path, sorted(real))):
        confirm(bench, hardware)
        if not yes:
            ask_before_wear(bench, "the pulses of this study")


def _workers(record: StudyRecord, count: int | None, scheduler: str | None) -> Workers:
    from labctl.study.workers import Cluster, Here, Processes, processors

    if scheduler is not None:
        if count is not None:
            raise Refused("--workers and --scheduler", allowed="one of them: a cluster has its own workers")
        return Cluster(scheduler)
    number = count or processors()
    done, total = record.counts()
    return Here() if number == 1 or total - done <= 1 else Processes(number)
