"""Before a real board is driven for the first time, a person says that it is the one that is meant.

What was agreed to is kept for each person, with a fingerprint of the board's class and of every setting in
its bench file: another port, another dopant or another limit is another board. Nothing here asks; a command
does (`labctl.commands.hardware`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from labctl.bench import Bench
from labctl.errors import StorageFault
from labctl.places import own
from labctl.quantity import format_quantity, printable
from labctl.spec import Spec

FILE = "confirmed.json"


def fingerprint(bench: Bench) -> str:
    """The same for the same class with the same settings, whatever the bench file is called."""
    told = json.dumps([bench.file.board_class, bench.file.board], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def confirmed(bench: Bench) -> bool:
    """Whether this person has agreed to this board before."""
    return fingerprint(bench) in _kept()


def remember(bench: Bench) -> None:
    """This person has agreed to it. Raises `StorageFault` where that cannot be kept."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {**_kept(), fingerprint(bench): {"bench": bench.source, "at": at}}
    path = own() / FILE
    try:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(kept, indent=2), encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(path)
    except OSError as error:
        raise StorageFault(
            f"{path} cannot be written: {error.strerror or error}",
            todo="see to its permissions; LABCTL_STATE names another folder",
        ) from error


def described(bench: Bench) -> list[str]:
    """What a person should look at before saying yes: which board, by what settings, within what limits."""
    spec = bench.board(Path()).spec
    settings = [f"  {key} = {value}" for key, value in _flat(bench.file.board)]
    lines = [
        f"{bench.source} is a real board: {bench.file.board_class}",
        *settings,
        f"  {spec.rows} rows, {spec.columns} columns, {len(spec.sites)} sites; no line above"
        f" {format_quantity(spec.source_volts, 'V')}",
        *(f"  {line}" for line in _limits(spec)),
    ]
    return [printable(line) for line in lines]


def _limits(spec: Spec) -> Iterator[str]:
    """Sites with the same dopant and limits in one line."""
    for (dopant, limits), group in groupby(spec.sites, key=lambda site: (site.dopant, site.limits)):
        count = len(list(group))
        yield (
            f"{count} of {dopant}: {format_quantity(limits.low_volts, 'V')} to"
            f" {format_quantity(limits.high_volts, 'V')}, at most {format_quantity(limits.amps, 'A')},"
            f" {format_quantity(limits.seconds, 's')} a pulse, {format_quantity(limits.joules, 'J')} a run"
        )


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{before}{key}.")
        else:
            yield f"{before}{key}", cast("object", value)


def _kept() -> dict[str, Any]:
    """What was agreed to; a file that cannot be read is none, so that somebody is asked again."""
    try:
        found: Any = json.loads((own() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
