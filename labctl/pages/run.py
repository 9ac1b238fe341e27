"""What the commands answer about runs: each answer is a `Page`, made from the journal alone.

So `train`, `characterize`, `resume` and `show` say the same of the same run, and nothing is shown
that was not written down. Conductances are the last that the board itself read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from labctl.characterization_record import META, is_characterization
from labctl.console import Page, Table
from labctl.contract import Outcome, Verdict
from labctl.doctor import Finding
from labctl.energy import KINDS
from labctl.errors import BadRun
from labctl.experiment import Experiment, budget_of
from labctl.journal import Journal, Note
from labctl.pages import bill as statement
from labctl.pages.characterization import characterized, characterized_parts
from labctl.programming.write_verify import Ending
from labctl.quantity import format_quantity, printable
from labctl.reality import reality
from labctl.training_run import Forecast

CLOSE = 0.05
"""Relative distance from the target within which a synapse is called close."""
BY_PULSES = ("manhattan", "delta")
"""Rules that leave the targets behind."""


def heading(journal: Journal) -> str:
    """The first line about a run: what it learns or measures, where, and what kind of bench that is."""
    bench, kind = bench_of(journal)
    return f"{journal.folder.name}: {subject_of(journal)} on {bench} ({reality(kind)})"


def subject_of(journal: Journal) -> str:
    """What a run learns, or what it measures."""
    if is_characterization(journal):
        return str(_table(journal.meta[META]).get("procedure", "nothing"))
    return str(_table(journal.meta.get("images")).get("name", "no images"))


def bench_of(journal: Journal) -> tuple[str, str]:
    """Name and kind of the bench of a run."""
    meta = journal.meta
    return Path(str(meta.get("bench_source", "?"))).stem, str(_table(meta.get("bench")).get("kind", "?"))


def _table(found: Any) -> dict[str, Any]:
    """A journal may hold anything."""
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def state_of(notes: Sequence[Note]) -> str:
    """What has become of a run, from its last word."""
    words = {"result": "finished", "interrupted": "stopped", "failed": "failed"}
    last = next((note.kind for note in reversed(notes) if note.kind in (*words, "resumed")), "")
    return words.get(last, "unfinished")


def instruments_of(notes: Sequence[Note]) -> list[str]:
    """What told who they were when the run opened them: each once, in order."""
    told = (str(note.body.get("identity", "")) for note in notes if note.kind == "instrument")
    return list(dict.fromkeys(map(printable, filter(None, told))))


# ---- one run --------------------------------------------------------------------------------


def run_page(journal: Journal, wall_seconds: float | None = None, pictures: Sequence[Path] = ()) -> Page:
    """What became of a run, for `train`, `characterize`, `resume` and `show`."""
    notes = journal.notes()
    bill = statement.statement(journal)
    data: dict[str, Any] = {
        "run": journal.folder.name,
        "folder": str(journal.folder),
        "bench": dict(zip(("name", "kind"), bench_of(journal), strict=True)),
        "instruments": instruments_of(notes),
        "state": state_of(notes),
        "created": journal.meta.get("created"),
        "wall_seconds": wall_seconds,
        "bill": statement.data(bill),
        "pictures": [str(path) for path in pictures],
    }
    parts: list[str | Table] = [heading(journal)] if wall_seconds is None else []
    result = next((note.body for note in notes if note.kind == "result"), None)
    if result is None:
        parts += _unfinished(journal, notes)
    if is_characterization(journal):
        data |= characterized(journal)
        parts += characterized_parts(journal)
    elif result is not None:
        trained = _trained(journal, result)
        data |= trained
        parts += _told(trained)
    parts += ["", statement.by_purpose(bill.ledger), *statement.seconds_by_kind(bill.ledger)]
    parts += [f"instrument {told}" for told in data["instruments"]]
    wall = () if wall_seconds is None else (f"wall time {wall_seconds:.1f} s",)
    return Page(data, [*parts, *wall, f"run folder {journal.folder}", *_drawn(pictures)])


def _unfinished(journal: Journal, notes: Sequence[Note]) -> Iterator[str]:
    last = next((note for note in reversed(notes) if note.kind in ("interrupted", "failed")), None)
    why = f" ({last.body.get('wrong')})" if last else ""
    yield f"{state_of(notes)} after {journal.counts()['measured']} pulses{why}"
    how = "goes on with the next row" if is_characterization(journal) else "reads all sites again and goes on"
    yield f"`labctl resume {journal.folder.name}` {how}"


def _trained(journal: Journal, result: dict[str, Any]) -> dict[str, Any]:
    """The figures of a finished training session."""
    try:
        tolerance, learning = _tolerance(journal), result.get("learning")
        by_pulses = learning is not None and learning["rule"] in BY_PULSES
        final, outcomes = result["conductances_siemens"], () if by_pulses else result["outcomes"]
        sites = [_site(journal, outcome, final) for outcome in cast("list[dict[str, Any]]", outcomes)]
        return {
            "patterns": result["patterns"],
            "right": result["right"],
            "neurons": journal.spec.neurons_told,
            "synapses": len(sites),
            "tolerance": tolerance,
            "within_tolerance": sum(abs(site["error"]) <= tolerance for site in sites),
            "within_5_percent": sum(abs(site["error"]) <= CLOSE for site in sites),
            "others": [site for site in sites if not abs(site["error"]) <= tolerance],
            "learning": _learning(learning) if learning else None,
            "tested": result.get("tested", []),
            "without_model": sum(map(_without_model, outcomes)),
        }
    except (KeyError, IndexError, TypeError) as error:
        raise BadRun(f"{journal.folder} does not hold the result of a training session: {error!r}") from error


def _without_model(outcome: dict[str, Any]) -> bool:
    """Whether a site got to its target, and has something to say nevertheless."""
    return outcome["ending"] == Ending.DONE and bool(outcome["reason"])


def _learning(learning: dict[str, Any]) -> dict[str, Any]:
    """What came of learning, without its history."""
    epochs = learning["epochs"]
    return {
        "rule": learning["rule"],
        "epochs": len(epochs),
        "pulses": sum(epoch["pulses"] for epoch in epochs),
        "accuracy_before": epochs[0]["accuracy"] if epochs else None,
        "accuracy_after": epochs[-1]["accuracy"] if epochs else None,
        "frozen": len(learning["frozen"]),
        "stopped": learning["stopped"],
    }


def _tolerance(journal: Journal) -> float:
    from labctl.config import build

    experiment = build(journal.meta["experiment"], Experiment, f"{journal.folder}: the experiment")
    return experiment.training.programming.tolerance


def _site(journal: Journal, outcome: dict[str, Any], final: Sequence[float | None]) -> dict[str, Any]:
    site, target = int(outcome["site"]), float(outcome["target"])
    found = final[site]
    siemens = math.nan if found is None else found  # it could not be read
    ending = (
        "was there when programmed, and has moved" if outcome["ending"] == Ending.DONE else outcome["ending"]
    )
    reason = f"{ending}: {outcome['reason']}" if outcome["reason"] else ending
    return {
        "site": journal.spec.label(site),
        "target_siemens": target,
        "siemens": siemens,
        "error": siemens / target - 1,
        "pulses": outcome["pulses"],
        "reason": reason,
    }


def _told(trained: dict[str, Any]) -> Iterator[str | Table]:
    count, tolerance = trained["synapses"], format_quantity(trained["tolerance"], "%")
    yield f"patterns right   {trained['right']} / {trained['patterns']} ({trained['neurons']})"
    if count:
        yield (
            f"synapses         {trained['within_tolerance']} / {count} within {tolerance} of target,"
            f" {trained['within_5_percent']} / {count} within {format_quantity(CLOSE, '%')}"
        )
    for test in trained["tested"]:
        level = format_quantity(test["level"], "%")
        share = format_quantity(test["right"] / test["of"], "%")
        yield f"with {level:<12}{share} right: {test['disturbance']} on the pixels, {test['of']} answers"
    if trained["without_model"]:
        yield f"model given up   on {trained['without_model']} sites that got there without it"
    if learning := trained["learning"]:
        yield f"learning         {_learnt(learning)}"
    if trained["others"]:
        yield ""
        yield Table(
            ("site", "target", "is", "off by", "pulses", "why"),
            [
                (
                    site["site"],
                    format_quantity(site["target_siemens"], "S"),
                    format_quantity(site["siemens"], "S"),
                    f"{100 * site['error']:+.1f} %",
                    str(site["pulses"]),
                    site["reason"],
                )
                for site in trained["others"]
            ],
        )


def _learnt(learning: dict[str, Any]) -> str:
    """One line."""
    told = f"{learning['rule']}, {learning['epochs']} looks at the chip, {learning['pulses']} pulses"
    if learning["epochs"]:
        before, after = (
            format_quantity(learning[key], "%", digits=3) for key in ("accuracy_before", "accuracy_after")
        )
        told += f", {before} right before and {after} after"
    if learning["frozen"]:
        told += f", {learning['frozen']} left alone"
    return f"{told}; stopped: {learning['stopped']}" if learning["stopped"] else told


def _drawn(pictures: Sequence[Path]) -> Iterator[str]:
    if pictures:
        yield f"pictures {', '.join(path.name for path in pictures)}"


# ---- what is no run -------------------------------------------------------------------------


def forecast_page(experiment: Experiment, forecast: Forecast) -> tuple[Page, bool]:
    """What a session would cost, and whether its budget would do."""
    total, budget = forecast.ledger.total(), budget_of(experiment)
    seconds = float(total.seconds.sum())
    fits = {
        "pulses": total.pulses <= budget.pulses,
        "seconds": seconds <= budget.seconds,
        "joules": float(total.joules[0]) <= budget.joules,
    }
    missing = [name for name, enough in fits.items() if not enough]
    trained = forecast.trained
    data = {
        "patterns": len(trained.answers),
        "right": trained.right,
        "pulses": total.pulses,
        "seconds": dict(zip(KINDS, total.seconds.tolist(), strict=True)),
        "joules": float(total.joules[0]),
        "worst_joules": forecast.worst_joules,
        "fits_budget": fits,
    }
    parts = [
        f"a dry run on {forecast.spec.name}: nothing real was driven",
        f"patterns right   {trained.right} / {len(trained.answers)}",
        f"pulses           {total.pulses}",
        *statement.seconds_by_kind(forecast.ledger),
        f"energy           {format_quantity(float(total.joules[0]), 'J')}"
        f" (at most {format_quantity(forecast.worst_joules, 'J')}, every site at its least resistance)",
        f"does not fit the budget: too many {', '.join(missing)}" if missing else "fits the budget",
    ]
    return Page(data, parts), not missing


def verdicts_page(bench: str, kind: str, verdicts: Sequence[Verdict]) -> Page:
    """Which laws a bench keeps."""
    rows = [(verdict.outcome.value, verdict.law, verdict.why or verdict.sentence) for verdict in verdicts]
    counts = {outcome: sum(verdict.outcome is outcome for verdict in verdicts) for outcome in Outcome}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    laws = [dict(zip(("outcome", "law", "why"), row, strict=True)) for row in rows]
    data = {"bench": {"name": bench, "kind": kind}, "laws": laws, "broken": counts[Outcome.BROKEN]}
    return Page(data, [f"{bench} ({reality(kind)})", Table(("", "law", ""), rows), told])


def findings_page(findings: Sequence[Finding]) -> Page:
    """What the doctor found."""
    rows = [
        (one.level.value, one.what, f"{one.found}{f' -> {one.todo}' if one.todo else ''}") for one in findings
    ]
    data = [
        {"level": one.level.value, "what": one.what, "found": one.found, "what_to_do": one.todo}
        for one in findings
    ]
    return Page({"findings": data}, [Table(("", "", ""), rows)])
