"""Where numbers come from: versions, machine, times, seeds, and what was asked, as it was frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from labctl.document.html import Markup, code, folded, heading, paragraph, table
from labctl.recordfolder import Record
from labctl.study.conditions import Condition
from labctl.study.record import StudyRecord


def circumstances(meta: Mapping[str, Any]) -> list[tuple[str, str]]:
    """When, with what, on what: what every record says of itself."""
    packages = tables(meta.get("packages"))
    version = str(packages.pop("labctl", "not told"))
    commit = str(meta.get("commit") or "")
    return [
        ("labctl", f"{version}, commit {commit}" if commit else f"{version}, no commit is known"),
        ("packages", ", ".join(f"{name} {found}" for name, found in packages.items()) or "not told"),
        ("python, sqlite", f"{meta.get('python', '?')}, {meta.get('sqlite', '?')}"),
        ("machine", str(meta.get("system", "not told"))),
        ("begun", str(meta.get("created", "not told"))),
    ]


def tables(found: Any) -> dict[str, Any]:
    """A record may hold anything."""
    return dict(cast("dict[str, Any]", found)) if isinstance(found, dict) else {}


def frozen(title: str, content: Any) -> Markup:
    """What was asked, folded: as JSON, which the record keeps."""
    return folded(title, code(json.dumps(content, indent=2, ensure_ascii=False)))


# ---- of a study, or of a training for a crossbar ---------------------------------------------


def fingerprint(record: Record) -> tuple[str, str]:
    """That of its rows, and what it tells."""
    return "fingerprint", f"{record.fingerprint()}: of all rows, the same for the same numbers bit for bit"


def spells(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[Markup]:
    """Each time that was worked on it; nothing where that was never."""
    if rows:
        yield paragraph("Worked on it:")
        yield table(head, rows)


# ---- of a study ------------------------------------------------------------------------------


def of_study(record: StudyRecord, conditions: Mapping[str, Condition], base: str) -> Iterator[Markup]:
    """The section of a study's report; `base` is the condition that is shown in full."""
    yield heading(2, "Provenance", "provenance")
    yield table(("", ""), [*circumstances(record.meta), *_numbers(record, conditions[base])], "pair")
    yield from spells(("until", "workers", "chips", "seconds", "chips per second"), _paces(record))
    yield frozen("The study file", record.meta["study"])
    shown = conditions[base]
    yield frozen("The experiment, of the condition in the bill", shown.experiment)
    yield frozen("The bench, of the condition in the bill", shown.bench)
    yield frozen("The images", shown.images)
    yield folded(
        f"All {len(conditions)} conditions, and in what they differ from the one in the bill",
        table(("condition", "chips", "differs in"), _differences(conditions, base)),
    )


def _numbers(record: StudyRecord, base: Condition) -> list[tuple[str, str]]:
    training = tables(base.experiment.get("training"))
    seeds = {name: tables(training.get(name)).get("seed") for name in ("software", "missed", "testing")}
    file = record.file
    return [
        ("study file", str(record.meta.get("source", "not told"))),
        ("bench file", base.bench_source),
        fingerprint(record),
        (
            "seeds",
            f"chip n is the simulated chip of seed n, in every condition; its target weights are set n mod"
            f" {file.networks}, trained from seed {seeds['software']} on; its conductance errors are drawn"
            f" from seed {seeds['missed']} + n; the noise of the tests from seed {seeds['testing']}",
        ),
    ]


def _paces(record: StudyRecord) -> list[tuple[str, ...]]:
    return [
        (when, workers, str(chips), f"{seconds:.1f}", f"{chips / seconds:.1f}" if seconds > 0 else "–")
        for when, workers, chips, seconds in record.spells()
    ]


def _differences(conditions: Mapping[str, Condition], base: str) -> Iterator[tuple[str, str, str]]:
    own = _flat(conditions[base])
    for key, condition in conditions.items():
        other = _flat(condition)
        changed = [name for name in {**own, **other} if own.get(name) != other.get(name)]
        told = ", ".join(f"{name} = {json.dumps(other.get(name))}" for name in changed)
        yield key, str(condition.chips), told or "–"


def _flat(condition: Condition) -> dict[str, Any]:
    """Dotted key -> value, of all that makes a condition."""
    whole = {"images": condition.images["name"], **condition.experiment, **condition.bench}
    return dict(_leaves("", whole))


def _leaves(path: str, found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        name = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict):
            yield from _leaves(name, cast("dict[str, Any]", value))
        else:
            yield name, value
