"""Figures of a study inside a Markdown page, between two comments that its readers do not see.

They are::

    <!-- study onchip -->
    <!-- end of study onchip -->

What stands between them is made from the record alone, so the same record gives the same page.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from labctl.document import commands
from labctl.document.told import Told
from labctl.errors import BadConfig
from labctl.quantity import printable


def write_into(path: Path, name: str, content: str) -> bool:
    """Put `content` (`section`) into the page at `path`; False where it is there already.

    Raises `BadConfig` where the page cannot be read or written, or has not these two comments once each.
    """
    try:
        before = path.read_text(encoding="utf-8")
        after = between(before, name, content, str(path))
        if after != before:
            part = path.with_name(f"{path.name}.part")
            part.unlink(missing_ok=True)  # a link there would lead elsewhere
            part.write_text(after, encoding="utf-8")
            part.replace(path)
    except (OSError, UnicodeError) as error:
        raise BadConfig(f"{path} cannot be rewritten: {error}", allowed="a text file in UTF-8") from error
    return after != before


def between(page: str, name: str, content: str, source: str) -> str:
    """`page` with `content` between the comments of the study called `name`."""
    first, last = f"<!-- study {name} -->", f"<!-- end of study {name} -->"
    begin, end = page.find(first), page.find(last)
    if not 0 <= begin < end or page.count(first) != 1 or page.count(last) != 1:
        raise BadConfig(
            f"{source} does not say where the figures of study {name} go",
            allowed=f"once the line {first}, and once below it the line {last}",
            todo="put both lines into it where the figures are to be",
        )
    return f"{page[: begin + len(first)]}\n{content}{page[end:]}"


def section(told: Told) -> str:
    """What goes between: headlines with their commands, claims, and where it all comes from."""
    return "\n".join([*_headlines(told), *_claims(told), *_origin(told), ""])


def _headlines(told: Told) -> Iterator[str]:
    if told.headlines:
        asked = {one.question.name: one for one in told.study.asked}
        rows = [
            (one.cited.says, one.told, _code(commands.question(told.record, told.study, asked[name])))
            if (name := one.cited.question or "") in asked
            else (one.cited.says, one.told, "–")
            for one in told.headlines
        ]
        yield from _table(("what", "figure", "command"), rows)


def _claims(told: Told) -> Iterator[str]:
    if told.claims:
        rows = [(f"{one.says} ({one.source})", its.told, one.comparable) for one, its in told.claims]
        yield from _table(("what others say", "this study found", "comparable?"), rows)


def _origin(told: Told) -> Iterator[str]:
    record, (done, total) = told.record, told.record.counts()
    seconds = sum(spell[3] for spell in record.spells())
    workers = ", ".join(sorted({spell[1] for spell in record.spells()}))
    pace = f" in {_minutes(seconds)} ({workers})" if seconds > 0 else ""
    chips = f"{done:,} chips" if done == total else f"{done:,} of {total:,} chips so far"
    source = shlex.join(["labctl", "study", commands.source_of(record)])
    yield _line(
        f"{len(told.study.conditions)} conditions, {chips}{pace}; fingerprint {record.fingerprint()};"
        f" {_code(source)}, {_code(f'labctl report {record.folder.name}')}."
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headers)} |"
    yield "|" + "---|" * len(headers)
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _code(line: str) -> str:
    return f"`{line}`"


def _cell(content: str) -> str:
    """Text in a table of Markdown: one line, and no bar of its own."""
    return _line(content).replace("|", "\\|")


def _line(content: str) -> str:
    """Text in one line, with no tag: no comment of the page either."""
    return printable(" ".join(content.split())).replace("<", "&lt;").replace("`" * 2, "")
