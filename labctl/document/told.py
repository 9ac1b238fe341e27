"""Everything that the report of a study is made from, worked out once from its record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labctl.document.cited import Found, claims, headlines
from labctl.study.answers import Answer, answers
from labctl.study.conditions import Study
from labctl.study.costs import Cost, Failure, costs, failures
from labctl.study.file import Claim
from labctl.study.record import StudyRecord


@dataclass(frozen=True)
class Drawing:
    """A picture of a study that was drawn: the figure of a question, or the bill."""

    path: Path
    alt: str
    question: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Told:
    """Everything that the report of a study is made from, read once."""

    record: StudyRecord

    @cached_property
    def study(self) -> Study:
        """What was asked."""
        return self.record.study()

    @cached_property
    def answers(self) -> list[Answer]:
        """Every number that the questions ask for."""
        return answers(self.record)

    @cached_property
    def costs(self) -> dict[str, dict[str, Cost]]:
        """By condition and purpose; conditions that no chip has answered are left out."""
        found = {key: costs(self.record.rows(key)) for key in self.study.conditions}
        return {key: bill for key, bill in found.items() if bill}

    @cached_property
    def failures(self) -> dict[str, list[Failure]]:
        """By condition, those alone where chips failed."""
        found = {key: failures(self.record.rows(key)) for key in self.study.conditions}
        return {key: failed for key, failed in found.items() if failed}

    @cached_property
    def headlines(self) -> list[Found]:
        """What is to be told first."""
        return headlines(self.record, self.answers)

    @cached_property
    def claims(self) -> list[tuple[Claim, Found]]:
        """What others say."""
        return claims(self.record, self.answers)

    @cached_property
    def base(self) -> str:
        """The condition that most questions share, of those that have a bill if there are any."""
        counts = Counter(key for asked in self.study.asked for key in {p.condition for p in asked.places})
        known = [key for key in self.study.conditions if key in self.costs] or list(self.study.conditions)
        return max(known, key=lambda key: counts[key])

    def name_of(self, key: str) -> str:
        """A condition as the first question that asks for it calls it."""
        for asked in self.study.asked:
            for place in asked.places:
                if place.condition == key:
                    return ", ".join(part for part in (asked.question.name, place.series, place.x) if part)
        return key
