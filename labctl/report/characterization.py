"""The pictures of a characterization, one for each step of each site that has something to show.

`PICTURES` names, for each procedure, the function that turns what was found (`Shown`) into a figure.
Rows and figures come from the run's notes; waveforms, for those that draw loops, from its journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from labctl.characterization_record import Part, entries_of, parts_of, protocol_in
from labctl.characterization_tables import table_name
from labctl.characterize.procedure import AnyProcedure
from labctl.journal import Journal, Stored
from labctl.report import (
    endurance,
    iv,
    lines,
    noise,
    programming,
    resistance,
    response,
    retention,
    statistics,
    threshold,
)
from labctl.report.shown import Shown
from labctl.report.style import Figure

PICTURES: dict[str, Callable[[Shown], Figure | None]] = {
    "iv": iv.picture,
    "response": response.picture,
    "threshold": threshold.picture,
    "resistance": resistance.picture,
    "lines": lines.picture,
    "write_verify": statistics.picture,
    "programming": programming.picture,
    "endurance": endurance.picture,
    "retention": retention.picture,
    "noise": noise.picture,
}
"""By name of the procedure: a new one is a module and a line here."""


def figures(journal: Journal) -> Iterator[tuple[str, Figure]]:
    """The figures of all steps that have rows, each with the name of its file, made one at a time."""
    procedures = {step.name: step.procedure for step in protocol_in(journal).steps}
    for part in parts_of(journal).values():
        procedure = procedures.get(part.step)
        if procedure is None or not part.rows or procedure.name not in PICTURES:
            continue
        made = PICTURES[procedure.name](_shown(journal, part, procedure))
        if made is not None:
            yield table_name(journal, part).removesuffix(".csv"), made


def _shown(journal: Journal, part: Part, procedure: AnyProcedure) -> Shown:
    def entries() -> Iterator[Stored]:
        own = part.step, part.site
        return (entry for key, entry in entries_of(journal) if key == own)

    return Shown(
        run=journal.folder.name,
        bench=Path(str(journal.meta.get("bench_source", "?"))).stem,
        spec=journal.spec,
        site=part.site,
        step=part.step,
        procedure=procedure,
        rows=part.rows,
        figures={**procedure.summary(journal.spec, part.site, part.rows), **(part.figures or {})},
        entries=entries,
    )
