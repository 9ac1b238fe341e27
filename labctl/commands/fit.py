"""`labctl fit` and `labctl export`: from measured data to a device file, and from there to other simulators.

Which models there are is `sim_backend`'s affair, which this package does not import: it is found by
its name, as boards are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl import console
from labctl.console import Exit
from labctl.errors import BadConfig, Refused, Unavailable

if TYPE_CHECKING:
    from labctl.fit.candidate import Candidate
    from labctl.fit.fitting import Fit
    from labctl.fit.programming import Programming
    from labctl.fit.readers import Telling
    from labctl.fit.recording import Recording

CANDIDATES = "sim_backend.fitting"
EXPORTER = "sim_backend.devices.export"

Data = Annotated[
    list[Path], typer.Argument(metavar="DATA...", help="Files, folders of files, or the folder of a run.")
]
Dopant = Annotated[str | None, typer.Option(help="Whose shipped set to begin with: W, Sn, Cr or C.")]
Series = Annotated[str | None, typer.Option(help='Series resistance, such as "5.11 kohm".')]
Output = Annotated[Path | None, typer.Option(help="The parameter file; its companions stand beside it.")]
Fix = Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter that is known.")]
Free = Annotated[list[str] | None, typer.Option(help="A term that the start leaves out.")]
Correct = Annotated[list[str] | None, typer.Option(help="swap, sign: what is wrong with the data.")]
UnitsTold = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND=UNIT", help="Where no header says it: current=uA, voltage=mV, time=us."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else.")]


def fit(
    data: Data,
    model: Annotated[str, typer.Option(help="sdc, metastable, vteam or yakopcic.")] = "sdc",
    dopant: Dopant = None,
    series: Series = None,
    output: Output = None,
    leave_out: Annotated[bool, typer.Option(help="Predict each recording from the others.")] = True,
    fix: Fix = None,
    free: Free = None,
    nuisance: Annotated[list[str] | None, typer.Option(help="offset, delay: one a recording.")] = None,
    correct: Correct = None,
    start: Annotated[Path | None, typer.Option(help="A parameter file to begin with.")] = None,
    period: Annotated[str | None, typer.Option(help="Of one cycle, for data without time.")] = None,
    step: Annotated[str | None, typer.Option(help="Between two samples, for data without time.")] = None,
    across: Annotated[str | None, typer.Option(help="device or source: whose voltage it is.")] = None,
    unit: UnitsTold = None,
    site: Annotated[str | None, typer.Option(help="Of a run that drove several: M1, or its number.")] = None,
    robust: Annotated[bool, typer.Option(help="Let large residuals count less.")] = False,
    seed: Annotated[int, typer.Option(help="Of the random starts.")] = 0,
    as_json: Json = False,
) -> int:
    """Fit a device model to measured data, and write a parameter file that a bench can name."""
    from labctl.fit.fitting import Settings
    from labctl.fit.fitting import fit as fitted

    settings = Settings(_fixed(fix), tuple(free or ()), tuple(nuisance or ()), seed, robust, leave_out)
    recordings, tables = _read(data, _telling(series, period, step, across, unit, correct, site))
    candidate = _candidate(model, dopant)
    starts = [candidate.read_start(str(start))] if start else candidate.starts()
    found = fitted(candidate, recordings, starts, settings, _silent if as_json else console.say)
    written = _write(found, output or Path(f"{dopant or 'device'}.fit.toml"), dopant, data)
    console.show(page(found, tables, written), as_json)
    return Exit.DONE


def export(
    device: Annotated[Path, typer.Argument(metavar="FILE", help="A parameter file.")],
    form: Annotated[str, typer.Option("--format", help="ngspice, ltspice, xyce or verilog-a.")] = "ngspice",
    output: Annotated[Path | None, typer.Option(help="The file to write; else it is printed.")] = None,
    name: Annotated[str, typer.Option(help="Of the subcircuit or module.")] = "memristor",
    as_json: Json = False,
) -> int:
    """Write a device as a model that other simulators read."""
    text: str = _module(EXPORTER).export(str(device), form, name)
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Refused(f"{output} cannot be written: {error.strerror or error}") from error
    parts = [f"{device} as {form}: {output}"] if output else [text.rstrip("\n")]
    console.show(
        console.Page({"format": form, "file": str(output) if output else None, "text": text}, parts), as_json
    )
    return Exit.DONE


def _silent(line: str) -> None:
    """Say nothing: there is to be one JSON document."""


# ---- what the command says is made of -----------------------------------------------------------


def _telling(
    series: str | None,
    period: str | None,
    step: str | None,
    across: str | None,
    units: Sequence[str] | None,
    correct: Sequence[str] | None,
    site: str | None,
) -> Telling:
    from labctl.fit.columns import Units
    from labctl.fit.readers import CORRECTIONS, Telling
    from labctl.quantity import parse

    if across not in (None, "device", "source"):
        raise Refused(f"--across {across!r}", allowed="device, source")
    if wrong := [one for one in correct or () if one not in CORRECTIONS]:
        raise Refused(f"--correct {wrong[0]!r}", allowed=", ".join(CORRECTIONS))
    return Telling(
        None if series is None else parse(series, "ohm"),
        None if period is None else parse(period, "s"),
        None if step is None else parse(step, "s"),
        Units(**_pairs("--unit", units, ("time", "voltage", "current"))),
        None if across is None else across == "device",
        frozenset(correct or ()),
        site,
    )


def _read(data: Sequence[Path], telling: Telling) -> tuple[list[Recording], list[Programming]]:
    """Recordings to fit, and programming tables to compare with."""
    from labctl.errors import BadData
    from labctl.fit import programming, readers

    recordings, tables = list["Recording"](), list["Programming"]()
    for path in data:
        if not path.exists():
            raise BadData(f"{path} is not there", allowed="files, folders of files, or the folder of a run")
        if path.is_file() and programming.is_programming(path):
            tables.append(programming.read(path))
        else:
            recordings += readers.read(path, telling)
    if tables and not recordings:
        raise BadData(
            "programming tables alone: they hold no waveforms, so nothing can be fitted to them",
            todo="give loops or a run too; tables are what a fit is compared with",
        )
    return recordings, tables


def _candidate(model: str, dopant: str | None) -> Candidate:
    candidates: Mapping[str, Candidate] = _module(CANDIDATES).candidates(dopant)
    if model not in candidates:
        raise Refused(f"there is no model {model!r}", allowed=", ".join(candidates))
    return candidates[model]


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise Unavailable(f"{name} is not installed", todo="install labctl with its simulators") from error


def _fixed(texts: Sequence[str] | None) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in _pairs("--fix", texts).items()}
    except ValueError:
        raise BadConfig(f"--fix {texts}", allowed="NAME=VALUE, a number in SI units: tau=1e-5") from None


def _pairs(option: str, texts: Sequence[str] | None, names: Sequence[str] = ()) -> dict[str, str]:
    found = dict[str, str]()
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or (names and name not in names):
            raise BadConfig(f"{option} {text!r}", allowed=f"{'|'.join(names) or 'NAME'}=VALUE")
        found[name.strip()] = value.strip()
    return found


def _write(found: Fit, path: Path, dopant: str | None, data: Sequence[Path]) -> list[Path]:
    from labctl.fit import results

    written = results.write(found, path, dopant, [one.name for one in data])
    try:
        pictures: Any = import_module("labctl.report.fit_pictures")
    except ModuleNotFoundError as missing:
        if missing.name != "matplotlib":
            raise
        return written
    title = f"{dopant} device" if dopant else "Device"
    return [*written, *pictures.draw(found, path.with_suffix(""), title)]


def page(found: Fit, tables: Sequence[Programming], written: Sequence[Path]) -> console.Page:
    """What a person reads of a fit, and what a program does."""
    from labctl.fit.results import as_data

    data = {
        **as_data(found),
        "files": [str(path) for path in written],
        "programming": [_figures(t) for t in tables],
    }
    parts: list[str | console.Table] = [
        f"{found.candidate.name}: {found.candidate.title}",
        f"NMSE {_short(found.mean_nmse)} in the mean, {_short(found.total_nmse)} in total"
        f"   ({len(found.parts)} recordings, {found.evaluations} loops simulated in {found.seconds:.0f} s)",
        console.Table(("recording", "NMSE", "left out", "single cycles"), _recordings(found)),
        console.Table(("parameter", "value", "95 % interval", ""), _parameters(found)),
    ]
    parts += [f"warning: {remark}" for remark in found.remarks]
    parts += [f"not determined by these data: {one.name}: {one.undetermined}" for one in found.undetermined]
    parts += [f"{part.name}: {remark}" for part in found.parts for remark in part.remarks]
    if tables:
        parts.append(console.Table(_HEADERS, [_programmed(table) for table in tables]))
    parts.append(f"written: {', '.join(map(str, written))}")
    parts.append(f'a bench names it with: parameters = "{written[0]}"')
    return console.Page(data, parts)


def _recordings(found: Fit) -> list[tuple[str, ...]]:
    left_out = [_short(value) for value in found.left_out] or [""] * len(found.parts)
    return [
        (part.name, _short(nmse), left, _short(part.scatter))
        for part, nmse, left in zip(found.parts, found.nmse, left_out, strict=True)
    ]


def _short(nmse: float) -> str:
    if math.isnan(nmse):  # there was but one cycle
        return ""
    return f"{nmse:.4f}" if nmse >= 1e-3 else f"{nmse:.1e}"


def _parameters(found: Fit) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            f"{one.value:.5g} {one.unit}",
            f"{one.low:.4g} to {one.high:.4g}",
            "?" if one.undetermined else "",
        )
        for one in found.estimates
    ]


_HEADERS = ("programming", "cycles", "first pulse", "pulses", "median R", "sd ln R", "after reset")


def _programmed(table: Programming) -> tuple[str, ...]:
    from labctl.quantity import format_quantity

    return (
        table.name, str(table.cycles), f"{table.first_pulse.value:.2f}", f"{table.pulses.value:.2f}",
        format_quantity(table.median_ohms.value, "ohm", 3), f"{table.spread.value:.3f}",
        format_quantity(table.reset_ohms, "ohm", 3),
    )  # fmt: skip


def _figures(table: Programming) -> dict[str, Any]:
    from dataclasses import asdict

    from labctl.estimates import Interval

    return {
        name: value._asdict() if isinstance(value, Interval) else value
        for name, value in asdict(table).items()
    }
