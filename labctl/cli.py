"""The command line: every command is a few lines, and what it says is made below.

Heavy packages are imported inside the commands, so that `labctl --help` is quick. A command returns
the exit code; errors come out of it and are told in one place, `run`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl import console
from labctl.console import Exit
from labctl.errors import LabError, Refused, Stopped

if TYPE_CHECKING:
    from labctl.bench import Bench
    from labctl.journal import Journal
    from labctl.progress import Progress

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
BenchFile = Annotated[Path, typer.Argument(metavar="BENCH", help="A bench file (TOML).")]
OtherBench = Annotated[
    Path | None, typer.Option("--bench", metavar="FILE", help="In place of the bench that it names.")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="The folder of runs.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="The name of a run, or the path of its folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else.")]
RUNS = Path("runs")
BENCHES = Path("benches")


@app.command()
def train(
    experiment: ExperimentFile,
    bench: OtherBench = None,
    runs: Runs = RUNS,
    name: Annotated[str | None, typer.Option("--name", help="Of the run; else EXPERIMENT-DATE-TIME.")] = None,
    as_json: Json = False,
) -> int:
    """Train a network on a bench's chip, and keep a run of it."""
    from datetime import UTC, datetime

    from labctl import training_run
    from labctl.training_session import new_name, read_session

    session = read_session(experiment, bench)
    if name is None:
        name = new_name(session.experiment.name, runs, datetime.now(UTC))
    _say(f"{name}: {session.images.name} on {session.bench.name} ({session.bench.file.kind})", as_json)
    return _follow(
        lambda progress, stop: training_run.begin(session, runs, name, progress, stop), runs, name, as_json
    )


@app.command()
def resume(run: RunName, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Go on with a run that was stopped or died; reads every site again first."""
    from labctl import training_run
    from labctl.journal import Journal
    from labctl.summary import heading

    base, name = _place(run, runs)
    with Journal.open(base, name) as journal:
        _say(heading(journal), as_json)
    return _follow(
        lambda progress, stop: training_run.resume(base, name, progress, stop), base, name, as_json
    )


@app.command("dry-run")
def dry_run(experiment: ExperimentFile, bench: OtherBench = None, as_json: Json = False) -> int:
    """Train a simulated chip instead: what a session would cost, and whether its budget would do."""
    from labctl.progress import Progress
    from labctl.summary import forecast_page
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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before these wear a real device.")] = False,
    as_json: Json = False,
) -> int:
    """Try whether a bench keeps the laws that every board must keep."""
    from tempfile import TemporaryDirectory

    from labctl import contract
    from labctl.bench import Bench
    from labctl.summary import verdicts_page

    found = Bench.read(bench)
    if programming and not yes:
        _ask_before_wear(found)
    laws = contract.LAWS + (contract.PROGRAMMING_LAWS if programming else ())
    with TemporaryDirectory() as nowhere:
        verdicts = contract.examine(found.board(Path(nowhere)), laws)
    console.show(verdicts_page(found.name, found.file.kind, verdicts), as_json)
    broken = any(verdict.outcome is contract.Outcome.BROKEN for verdict in verdicts)
    return Exit.NO if broken else Exit.DONE


@app.command("runs")
def list_runs(runs: Runs = RUNS, as_json: Json = False) -> int:
    """List the runs that there are."""
    from labctl.runfolder import names_of_runs
    from labctl.summary import runs_page

    console.show(runs_page(runs, names_of_runs(runs)), as_json)
    return Exit.DONE


@app.command()
def show(run: RunName, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Say what became of a run."""
    from labctl.journal import Journal
    from labctl.summary import run_page

    with Journal.open(*_place(run, runs)) as journal:
        console.show(run_page(journal), as_json)
    return Exit.DONE


@app.command()
def bill(run: RunName, runs: Runs = RUNS, as_json: Json = False) -> int:
    """Work out the bill again from what is stored, and compare it with what was booked."""
    from labctl import statement
    from labctl.journal import Journal

    with Journal.open(*_place(run, runs)) as journal:
        found = statement.statement(journal)
    console.show(statement.page(found), as_json)
    return Exit.DONE if found.agrees else Exit.NO


@app.command()
def doctor(
    bench: Annotated[
        list[Path] | None, typer.Argument(metavar="BENCH", help="Bench files (TOML); else those in benches/.")
    ] = None,
    runs: Runs = RUNS,
    as_json: Json = False,
) -> int:
    """See whether this machine is ready: libraries, what benches need, the folder of runs."""
    from labctl import doctor as practice
    from labctl.summary import findings_page

    findings = practice.examine(runs, bench or sorted(BENCHES.glob("*.toml")))
    console.show(findings_page(findings), as_json)
    return Exit.NO if any(one.level is practice.Level.PROBLEM for one in findings) else Exit.DONE


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


# ---- what commands share ----------------------------------------------------------------------


def _follow(work: Callable[[Progress, Callable[[], bool]], Any], base: Path, name: str, as_json: bool) -> int:
    """Train under the eye of a progress bar, stop at a safe point when asked, and say what came of it."""
    from labctl.journal import Journal
    from labctl.progress import Progress
    from labctl.session import stop_on_interrupt
    from labctl.summary import run_page

    began = time.monotonic()
    with stop_on_interrupt() as stop:  # also while the result is shown: one Ctrl-C too late harms nothing
        try:
            with Progress(quiet=as_json) as progress:
                work(progress, stop)
        except Stopped as stopped:
            where = "" if base == RUNS else f" --runs {base}"
            stopped.todo = f"`labctl resume {name}{where}` goes on from here"
            raise
        seconds = time.monotonic() - began
        with Journal.open(base, name) as journal:
            console.show(run_page(journal, seconds, _pictures(journal)), as_json)
    return Exit.DONE


def _pictures(journal: Journal) -> list[Path]:
    """Drawn if there is what draws them: a run is whole without."""
    try:
        pictures: Any = import_module("labctl.report.pictures")
    except ModuleNotFoundError as missing:
        if missing.name not in ("labctl.report", "labctl.report.pictures", "matplotlib"):
            raise
        return []
    try:
        return list(pictures.draw(journal))
    except LabError as error:
        console.warn(error)
        return []


def _place(run: str, runs: Path) -> tuple[Path, str]:
    """The folder of runs and the name: of a name, or of the path of a run's folder."""
    path = Path(run)
    return (path.parent, path.name) if os.sep in run else (runs, run)


def _ask_before_wear(bench: Bench) -> None:
    if bench.file.kind != "board":
        return
    question = f"{bench.source} is a real board, and these laws wear its devices. Drive them?"
    if not (console.is_terminal(sys.stdin) and typer.confirm(question, err=True)):
        raise Refused("laws that wear a real device were not agreed to", allowed="an answer of yes, or --yes")


def _say(line: str, as_json: bool) -> None:
    if not as_json:
        console.say(line)


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
