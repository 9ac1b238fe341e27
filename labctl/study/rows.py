"""The row of a chip: what came of its training, in numbers that JSON can hold.

It is made from what a run keeps of a session (`labctl.training_session`), so that a chip of a
simulation, which keeps no journal, and the one on a bench, whose journal is there, have the same row.

What the tests with noise cost is a part of the bill, and is told beside it: they are the last lists
that a session drives, one each, so their charges are known and need not be guessed from counts.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from labctl.energy import Charge, Entry, Ledger, Tariff
from labctl.journal import Journal, recompute
from labctl.programming.write_verify import Ending
from labctl.pulse import Purpose
from labctl.training.inference import Testing

Row: TypeAlias = dict[str, Any]
"""What came of one chip: `row_of` makes it. One that failed has "error" and "wrong" alone."""
Columns: TypeAlias = Sequence[int] | range
"""Of a bill: 0 pulses, 1 to 3 joules, 4 to 7 seconds."""


def row_of(
    goal: Mapping[str, Any], result: Mapping[str, Any], ledger: Ledger, tests: Ledger, tariff: Tariff
) -> Row:
    """The numbers of one chip, from the notes of its assignment and of its result, and from its bill."""
    targets = np.array(goal["targets_siemens"], dtype=np.float64)
    for outcome in result["outcomes"]:  # learning moves targets
        targets[outcome["site"]] = outcome["target"]
    errors = np.abs(np.array(result["conductances_siemens"], dtype=np.float64) / targets - 1)
    purposes = [(purpose, ledger.total(purpose=purpose)) for purpose in Purpose]
    return {
        "right": result["right"],
        "patterns": result["patterns"],
        "tested": result["tested"],
        "within_2": int((errors <= 0.02).sum()),
        "within_5": int((errors <= 0.05).sum()),
        "given_up": sum(outcome["ending"] != Ending.DONE for outcome in result["outcomes"]),
        "sites": len(result["outcomes"]),
        "tariff": [tariff.watts, tariff.joules_per_pulse],
        "bill": {str(purpose): _columns(entry) for purpose, entry in purposes if entry.pulses},
        "tests": _columns(tests.total()),
    }


def row_of_run(journal: Journal, testing: Testing, tariff: Tariff) -> Row:
    """The same of a run that has come to its end. Tests that it was stopped in count as training."""
    bodies = {note.kind: note.body for note in journal.notes()}
    tests = Ledger()
    tests.charge(_tests_in(journal, count(testing)))
    return row_of(bodies["assignment"], bodies["result"], recompute(journal), tests, tariff)


def _tests_in(journal: Journal, tests: int) -> list[Charge]:
    driven = [(entry.list, entry.charge) for entry in journal.entries() if entry.charge is not None]
    last = deque(sorted({number for number, _ in driven}), maxlen=tests)
    return [charge for number, charge in driven if number in last]


def count(testing: Testing) -> int:
    """How many tests there are, and so how many lists at the end of a session are theirs."""
    return len(testing.noise) + len(testing.flips)


def _columns(entry: Entry) -> list[float]:
    return [entry.pulses, *entry.joules.tolist(), *entry.seconds.tolist()]


def of_training(row: Row, columns: Columns) -> float:
    """What training cost, and one look at the ideal patterns: the bill without the tests."""
    return math.fsum(_signed(row, columns))


def _signed(row: Row, columns: Columns) -> Iterable[float]:
    for column in columns:
        yield from (entry[column] for entry in row["bill"].values())
        yield -row["tests"][column]
