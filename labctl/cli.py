"""The command line: every command is a few lines, and what it says is made below.

Heavy packages are imported inside the commands, so that `labctl --help` is quick. A command returns
the exit code; errors come out of it and are told in one place, `run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from labctl import console
from labctl.commands import aware
from labctl.commands.characterize import characterize
from labctl.commands.doctor import doctor
from labctl.commands.emulate import emulate
from labctl.commands.fit import export, fit
from labctl.commands.follow import follow
from labctl.commands.hardware import Hardware, confirm
from labctl.commands.instruments import instruments
from labctl.commands.options import RUNS, BenchFile, Json, RunName, Runs, Yes, ask_before_wear, place, say
from labctl.commands.report import report
from labctl.commands.stop import stop
from labctl.commands.study import Scheduler, WorkerCount, go_on, study
from labctl.console import Exit
from labctl.errors import LabError, Refused
from labctl.reality import reality

EPILOG = """\b
Exit codes:
  0    done
  1    an answer of no: a law is broken, a problem is found, a bill does not agree
  2    refused: what was asked for must not be, and was not driven; also a mistake in the command
  3    the board misbehaved; the message says whether its outputs are off
  4    the run folder could not be written
  70   a mistake in labctl or in a board's driver, with its traceback
  75   stopped as asked (Ctrl-C, SIGTERM): saved, `labctl resume` goes on
  130  interrupted at once (a second Ctrl-C)
"""

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Train memristor networks on a bench or on a simulation of one, and account for every joule.",
    epilog=EPILOG,
)

ExperimentFile = Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="An experiment file (TOML).")]
OtherBench = Annotated[
    Path | None, typer.Option("--bench", metavar="FILE", help="In place of the bench that it names.")
]


@app.command()
def train(
    experiment: ExperimentFile,
    bench: OtherBench = None,
    runs: Runs = RUNS,
    name: Annotated[str | None, typer.Option("--name", help="Of the run; else EXPERIMENT-DATE-TIME.")] = None,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Train a network on a bench's chip, and keep a run of it."""
    from datetime import UTC, datetime

    from labctl import training_run
    from labctl.running import new_name
    from labctl.training_session import read_session

    session = read_session(experiment, bench)
    if name is None:
        name = new_name(session.experiment.name, runs, datetime.now(UTC))
    confirm(session.bench, hardware)
    kind = reality(session.bench.file.kind)
    say(f"{name}: {session.images.name} on {session.bench.name} ({kind})", as_json)
    return follow(
        lambda progress, stop: training_run.begin(session, runs, name, progress, stop), runs, name, as_json
    )


@app.command()
def resume(
    run: RunName,
    runs: Runs = RUNS,
    workers: WorkerCount = None,
    scheduler: Scheduler = None,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Go on with a run or a study that was stopped or died: training reads every site again first."""
    from labctl import characterization_run, training_run
    from labctl.aware.record import is_aware
    from labctl.characterization_record import is_characterization
    from labctl.journal import Journal
    from labctl.pages.run import heading
    from labctl.running import bench_of
    from labctl.study.record import is_study

    base, name = place(run, runs)
    if is_study(base, name):
        return go_on(base, name, workers, scheduler, as_json)
    if workers is not None or scheduler is not None:
        raise Refused(
            f"{name} is a run, which one process drives", todo="leave --workers and --scheduler out"
        )
    if is_aware(base, name):
        return aware.go_on(base, name, as_json)
    with Journal.open(base, name) as journal:
        confirm(bench_of(journal), hardware)
        say(heading(journal), as_json)
        measures = is_characterization(journal)
    if measures:
        return follow(
            lambda progress, stop: characterization_run.resume(base, name, progress.steps, stop),
            base,
            name,
            as_json,
        )
    return follow(lambda progress, stop: training_run.resume(base, name, progress, stop), base, name, as_json)


app.command()(characterize)
app.command()(study)
app.add_typer(aware.app, name="aware")
app.command()(instruments)
app.command()(stop)


@app.command("dry-run")
def dry_run(experiment: ExperimentFile, bench: OtherBench = None, as_json: Json = False) -> int:
    """Train a simulated chip instead: what a session would cost, and whether its budget would do."""
    from labctl.commands.progress import Progress
    from labctl.pages.run import forecast_page
    from labctl.training_run import rehearse
    from labctl.training_session import read_session

    session = read_session(experiment, bench)
    with Progress(quiet=as_json) as progress:
        page, fits = forecast_page(session.experiment, rehearse(session, progress))
    console.show(page, as_json)
    return Exit.DONE if fits else Exit.NO


@app.command()
def check(
    bench: BenchFile,
    programming: Annotated[bool, typer.Option(help="Also the laws that move conductances.")] = False,
    yes: Yes = False,
    hardware: Hardware = False,
    as_json: Json = False,
) -> int:
    """Try whether a bench keeps the laws that every board must keep."""
    from tempfile import TemporaryDirectory

    from labctl import contract
    from labctl.bench import Bench
    from labctl.pages.run import verdicts_page

    found = Bench.read(bench)
    confirm(found, hardware)
    if programming and not yes:
        ask_before_wear(found, "these laws")
    laws = contract.LAWS + (contract.PROGRAMMING_LAWS if programming else ())
    with TemporaryDirectory() as nowhere:
        verdicts = contract.examine(found.board(Path(nowhere)), laws)
    console.show(verdicts_page(found.name, found.file.kind, verdicts), as_json)
    broken = any(verdict.outcome is contract.Outcome.BROKEN for verdict in verdicts)
    return Exit.NO if broken else Exit.DONE


@app.command("runs")
def list_runs(runs: Runs = RUNS, as_json: Json = False) -> int:
    """List the runs and studies that there are."""
    from labctl.pages.listing import runs_page
    from labctl.runfolder import names_of_aware, names_of_runs, names_of_studies

    console.show(runs_page(runs, names_of_runs(runs), names_of_studies(runs), names_of_aware(runs)), as_json)
    return Exit.DONE


@app.command()
def show(run: RunName, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Say what became of a run or study."""
    from labctl.aware.record import AwareRecord, is_aware
    from labctl.journal import Journal
    from labctl.pages.aware import aware_page
    from labctl.pages.run import run_page
    from labctl.pages.study import study_page
    from labctl.study.record import StudyRecord, is_study

    base, name = place(run, runs)
    if is_study(base, name):
        with StudyRecord.open(base, name) as record, record.guarded():
            console.show(study_page(record), as_json)
        return Exit.DONE
    if is_aware(base, name):
        with AwareRecord.open(base, name) as record, record.guarded():
            console.show(aware_page(record), as_json)
        return Exit.DONE
    with Journal.open(base, name) as journal:
        console.show(run_page(journal), as_json)
    return Exit.DONE


@app.command()
def bill(run: RunName, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Work out the bill again from what is stored, and compare it with what was booked."""
    from labctl.aware.record import is_aware
    from labctl.journal import Journal
    from labctl.pages import bill as statement
    from labctl.study.record import is_study

    base, name = place(run, runs)
    if is_study(base, name):
        raise Refused(
            f"{name} is a study: it keeps what each chip came to, and no journal of pulses to bill anew",
            allowed="a run; of a study, medians over its chips",
            todo=f"`labctl report {name}` tells the medians by purpose and sink",
        )
    if is_aware(base, name):
        raise Refused(f"{name} is a training in software: no pulse was driven, and there is no bill")
    with Journal.open(base, name) as journal:
        found = statement.statement(journal)
    console.show(statement.page(found), as_json)
    return Exit.DONE if found.agrees else Exit.NO


app.command()(doctor)


@app.command()
def version(as_json: Json = False) -> int:
    """Say which labctl this is."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        found = of("labctl")
    except PackageNotFoundError:
        found = "not installed: run from its checkout"
    console.show(console.Page({"labctl": found}, [f"labctl {found}"]), as_json)
    return Exit.DONE


app.command()(emulate)
app.command()(report)
app.command()(fit)
app.command()(export)


# ---- errors and exit codes ---------------------------------------------------------------------


def run(arguments: Sequence[str]) -> int:
    """Do what the command line says, tell what went wrong, and return the exit code."""
    as_json = "--json" in arguments
    try:
        code = app(list(arguments), prog_name="labctl", standalone_mode=False)
    except LabError as error:
        return console.tell(error, as_json)
    except (typer.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our answer has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:  # noqa: BLE001  told in full, with its traceback
        if isinstance(error, _USAGE):
            return _tell_usage(error, as_json)
        return console.tell_crash(error, as_json)
    return console.tell_interrupt(as_json) if code == Exit.INTERRUPTED else int(code or 0)


_USAGE: Any = typer.BadParameter.__base__  # UsageError, which typer takes from click or brings itself


def _tell_usage(error: Any, as_json: bool) -> int:
    if as_json:
        return console.tell_refusal(error.format_message(), as_json)
    error.show()
    return Exit.REFUSED


def main() -> None:
    """The `labctl` that is installed."""
    sys.exit(run(sys.argv[1:]))
