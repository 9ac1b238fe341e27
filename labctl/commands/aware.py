"""`labctl aware`: networks trained for the crossbars that they will run on (extra `aware`: torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from labctl import console
from labctl.commands.hardware import Hardware, confirm
from labctl.commands.options import RUNS, Json, RunName, Runs, Yes, ask_before_wear, place, say
from labctl.console import Exit
from labctl.errors import BadConfig, Stopped, Unavailable

if TYPE_CHECKING:
    from labctl.aware.file import AwareFile
    from labctl.aware.record import AwareRecord, What
    from labctl.aware.sweep import Effort, Stop, Told
    from labctl.bench import Bench

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Train networks for the crossbars that they will run on (extra `aware`).",
)

FilePath = Annotated[
    Path, typer.Argument(metavar="FILE", help="What is trained, and for which chips (TOML).")
]
Name = Annotated[str | None, typer.Option("--name", help="Of the folder; else NAME-DATE-TIME.")]
Chips = Annotated[int, typer.Option("--chips", min=1, metavar="N", help="On which the network is tried.")]
Benches = Annotated[
    list[Path], typer.Option("--bench", metavar="FILE", help="Of a crossbar; again for a bench an array.")
]
Pictures = Annotated[int, typer.Option("--pictures", min=1, metavar="N", help="Of the test, that are asked.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Work: TypeAlias = "Callable[[AwareRecord, Told, Stop], Effort]"


@app.command()
def train(file: FilePath, name: Name = None, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Train one network as its file says, and keep it."""
    return go_on(runs, _begun(file, "training", name, runs, as_json), as_json)


@app.command()
def evaluate(run: RunName, chips: Chips = 20, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Try a trained network on simulated chips, each of its own devices."""
    base, name = place(run, runs)
    _refuse_without_torch()
    from labctl.aware.sweep import try_training

    return _follow(base, name, lambda record, told, stop: try_training(record, chips, told, stop), as_json)


@app.command()
def sweep(
    file: FilePath, name: Name = None, dry_run: DryRun = False, runs: Runs = RUNS, as_json: Json = False
) -> int:
    """Compare kinds of training over many kinds of chips: how far accuracy falls, and how much comes back."""
    if dry_run:
        from labctl.pages.aware import outline_page

        console.show(outline_page(_read(file, "sweep")), as_json)
        return Exit.DONE
    return go_on(runs, _begun(file, "sweep", name, runs, as_json), as_json)


@app.command()
def deploy(
    run: RunName,
    bench: Benches,
    pictures: Pictures = 200,
    chips: Chips = 20,
    name: Name = None,
    runs: Runs = RUNS,
    yes: Yes = False,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Program a trained network onto crossbars, ask them, and set their answers beside the prediction."""
    from labctl.bench import Bench

    base, trained = place(run, runs)
    _refuse_without_torch()
    benches = [Bench.read(one) for one in bench]
    for one in benches:
        confirm(one, hardware)
        if not yes:
            ask_before_wear(one, "the pulses of a deployment")
    called = name or f"{trained}-on-{bench[0].stem}"
    return _deployed(base, trained, benches, called, (pictures, chips), as_json)


def _deployed(
    base: Path, trained: str, benches: Sequence[Bench], name: str, sizes: tuple[int, int], as_json: bool
) -> int:
    """The same command goes on with a deployment that was stopped."""
    from labctl.aware import sweep
    from labctl.aware.deploy import deploy
    from labctl.aware.record import AwareRecord
    from labctl.commands.study_progress import StudyProgress
    from labctl.pages.deployment import deployment_page
    from labctl.session import stop_on_interrupt

    with AwareRecord.open(base, trained) as record, record.guarded():
        network, pictures = sweep.trained(record)
    asked, chips = sizes
    with stop_on_interrupt() as stop:
        try:
            with StudyProgress(quiet=as_json, things="devices and vectors") as progress:
                found = deploy(
                    network,
                    pictures,
                    benches,
                    base,
                    name,
                    pictures=asked,
                    chips=chips,
                    told=progress.told,
                    stop=stop,
                )
        except Stopped as stopped:
            stopped.todo = "the same command goes on from here"
            raise
    console.show(deployment_page(found, base / name), as_json)
    return Exit.DONE


def go_on(base: Path, name: str, as_json: bool) -> int:
    """Do what is left of a training or of a sweep, and answer."""
    _refuse_without_torch()
    from labctl.aware.sweep import run

    return _follow(base, name, run, as_json)


def _begun(path: Path, what: What, name: str | None, runs: Path, as_json: bool) -> str:
    """Make its folder, when all that can be refused was; its name."""
    file = _read(path, what)
    _refuse_without_torch()
    from labctl.aware import data
    from labctl.aware.record import AwareRecord, digest_of
    from labctl.aware.sweep import check_start
    from labctl.running import new_name

    pictures = digest_of(vars(data.load(file.data, path.parent)))
    check_start(file, what, path.parent, pictures)
    called = name or new_name(file.name, runs, datetime.now(UTC))
    say(f"{called}: {what} of {path}", as_json)
    AwareRecord.create(runs, called, file, path, what, pictures).close()
    return called


def _read(path: Path, what: What) -> AwareFile:
    from labctl.aware.file import read_aware

    file = read_aware(path)
    if what == "sweep" and file.sweep is None:
        raise BadConfig(
            f"{path} has no [sweep]: it does not say over what", todo="add it, or `labctl aware train`"
        )
    return file


def _follow(base: Path, name: str, work: Work, as_json: bool) -> int:
    """Do some work on a record, stop at a safe point when asked, and say what came of it."""
    from labctl.aware.record import AwareRecord
    from labctl.commands.follow_record import follow_record
    from labctl.pages.aware import aware_page

    return follow_record(
        AwareRecord,
        base,
        name,
        lambda record, progress, stop: work(record, progress.told, stop).seconds,
        aware_page,
        as_json,
        things="epochs and chips",
    )


def _refuse_without_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise Unavailable(
            "training for crossbars needs torch, which is not installed", todo="pip install '.[aware]'"
        )
