"""What a picture of one step of a characterization is drawn from, and the heading that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from labctl.characterize.procedure import Capped, Figures, Procedure, Row
from labctl.journal import Stored
from labctl.report.style import Figure, sheet
from labctl.spec import Spec


@dataclass(frozen=True)
class Shown:
    """One step on one site, as far as it has come."""

    run: str
    bench: str
    spec: Spec
    site: int
    step: str
    procedure: Procedure[Any]
    rows: Sequence[Row]
    figures: Figures
    """Worked out from the rows; with how it ended, once it has."""
    entries: Callable[[], Iterator[Stored]]
    """The step's pulses and their stored waveforms, in their order; read anew each time."""

    @property
    def settings(self) -> Capped:
        """With which it was measured."""
        return self.procedure.settings

    @property
    def label(self) -> str:
        """The site, as a person calls it."""
        return f"{self.spec.sites[self.site].dopant}, site {self.spec.label(self.site)}"

    def sheet(self, width: float, height: float, subtitle: str, of: str | None = None) -> Figure:
        """An empty figure [inches] with this step's heading and small print, `of` the site if not told."""
        small = f"run {self.run} · {self.step} · bench {self.bench} · {len(self.rows)} rows"
        return sheet(width, height, f"{self.procedure.title}: {of or self.label}", subtitle, small)
