"""What there is in a folder of runs: one row a run, one a study, each from its own record alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from labctl.aware.record import AwareRecord
from labctl.console import Page, Table
from labctl.errors import BadRun
from labctl.journal import Journal
from labctl.pages.aware import asked_of, is_finished
from labctl.pages.run import bench_of, state_of, subject_of
from labctl.reality import reality
from labctl.study.record import StudyRecord

_RUN = ("run", "what", "state", "right", "bench", "kind", "created")
STUDY_KIND, AWARE_KIND = "study", "aware"


def runs_page(
    base: Path, names: Sequence[str], studies: Sequence[str] = (), aware: Sequence[str] = ()
) -> Page:
    """One row each; what cannot be read says so and hides none of the others."""
    rows = [_run_row(base, name) for name in names]
    rows += [_study_row(base, name) for name in studies]
    rows += [_aware_row(base, name) for name in aware]
    shown = [{**row, "kind": reality(str(row["kind"]))} for row in rows]
    table = Table(_RUN, [tuple(str(row[key]) for key in _RUN) for row in shown])
    return Page({"runs": rows}, [table] if rows else [f"no runs in {base}"])


def _run_row(base: Path, name: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(_RUN, "")
    try:
        with Journal.open(base, name) as journal:
            notes = journal.notes()
            bench, kind = bench_of(journal)
            results = [note.body for note in notes if note.kind == "result" and "right" in note.body]
            right = "".join(f"{body['right']} / {body.get('patterns')}" for body in results[:1])
            created = str(journal.meta.get("created", ""))[:19]
            return {
                **row,
                "run": name,
                "what": subject_of(journal),
                "state": state_of(notes),
                "right": right,
                "bench": bench,
                "kind": kind,
                "created": created,
            }
    except BadRun as error:
        return {**row, "run": name, "state": f"cannot be read: {error.wrong}"}


def _study_row(base: Path, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(_RUN, ""), "run": name}
    try:
        with StudyRecord.open(base, name) as record, record.guarded():
            done, total = record.counts()
            return {
                **row,
                "what": record.file.name,
                "state": "finished" if done == total else f"{done} of {total} chips",
                "bench": Path(record.file.bench).stem,
                "kind": STUDY_KIND,
                "created": str(record.meta.get("created", ""))[:19],
            }
    except BadRun as error:
        return {**row, "kind": STUDY_KIND, "state": f"cannot be read: {error.wrong}"}


def _aware_row(base: Path, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(_RUN, ""), "run": name, "kind": AWARE_KIND}
    try:
        with AwareRecord.open(base, name) as record, record.guarded():
            done, total = sum(record.counts()), sum(asked_of(record))
            return {
                **row,
                "what": f"{record.what} {record.file.name}",
                "state": "finished" if is_finished(record) else f"{done} of {total} networks and chips",
                "created": str(record.meta.get("created", ""))[:19],
            }
    except BadRun as error:
        return {**row, "state": f"cannot be read: {error.wrong}"}
