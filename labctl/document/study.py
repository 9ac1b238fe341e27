"""The report of a study: what was asked, what was found, what it cost, and how to do it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labctl.document import commands, provenance
from labctl.document.cited import Found
from labctl.document.html import Content, Markup, command, heading, page, paragraph, picture, table, tag
from labctl.document.questions import BILL, bill_rows, question_section
from labctl.document.told import Drawing, Told
from labctl.study.conditions import Condition, Study
from labctl.study.file import Claim

MOST_CHIPS = 12
"""Numbers of chips that are told for an error."""


def study_document(told: Told, drawings: Sequence[Drawing]) -> str:
    """The whole page."""
    record, file = told.record, told.study.file
    body = [
        *_head(told),
        *_headlines(told.headlines),
        *_claims(told.claims),
        *_contents(told.study),
        *(part for asked in told.study.asked for part in question_section(told, asked, drawings)),
        *_bill(told, drawings),
        *_failed(told),
        *provenance.of_study(record, told.study.conditions, told.base),
    ]
    return page(f"{file.title} – {record.folder.name}", *body)


def _head(told: Told) -> Iterator[Markup]:
    record, (done, total) = told.record, told.record.counts()
    yield heading(1, told.study.file.title)
    conditions: Mapping[str, Condition] = told.study.conditions
    kinds = {one.bench.get("kind") for one in conditions.values()}
    where = "simulated chips" if kinds == {"sim"} else "chips"
    yield paragraph(
        f"Study {record.folder.name}: {len(told.study.asked)} questions, {len(conditions)} conditions,"
        f" {done} of {total} {where}; fingerprint {record.fingerprint()}.",
        kind="lead",
    )
    if done == 0:
        yield paragraph("Nothing is done yet: there are no answers.", kind="alarm")
    elif done < total:
        yield paragraph(f"Not finished: {total - done} chips are still to be done.", kind="alarm")
    if done < total:
        yield command(commands.resume(record))


def _headlines(found: Sequence[Found]) -> Iterator[Markup]:
    if found:
        yield heading(2, "In short", "headlines")
        yield table(("what", "found"), [(one.cited.says, _told(one)) for one in found], "found")


def _claims(found: Sequence[tuple[Claim, Found]]) -> Iterator[Markup]:
    if found:
        yield heading(2, "What others say, and what this study found", "claims")
        rows = [
            ((one.says, tag("br"), tag("span", one.source, class_="note")), _told(its), one.comparable)
            for one, its in found
        ]
        yield table(("what is said", "this study found", "comparable?"), rows, "found")


def _told(found: Found) -> Content:
    """The value, and below it how well it is known."""
    value = tag("strong", found.value) if found.answer else found.value
    return (value, tag("br"), tag("span", found.how, class_="note")) if found.how else value


def _contents(study: Study) -> Iterator[Markup]:
    yield heading(2, "Questions", "questions")
    links = [(f"q-{asked.question.name}", asked.question.title) for asked in study.asked]
    links += [("bill", "What a chip costs"), ("provenance", "Provenance")]
    yield tag("nav", tag("ol", *(tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title in links)))
    yield paragraph(
        "Chips are what is drawn: an interval is the 95 % bootstrap interval of the median over chips, and"
        " quartiles hold the middle half of them. Chip number n is the same in all conditions. Time is bench"
        " time and energy is what the sources delivered, both without the tests with noise.",
        kind="note",
    )


# ---- the bill --------------------------------------------------------------------------------


def _bill(told: Told, drawings: Sequence[Drawing]) -> Iterator[Markup]:
    yield heading(2, "What a chip costs", "bill")
    if told.base not in told.costs:
        yield paragraph("Nothing was driven yet.")
        return
    yield paragraph(
        f"The condition that most questions share ({told.name_of(told.base)}), medians over its chips. Each"
        " figure is a median for itself, so they need not add up. “Series” is what series resistors and"
        " switches took. Inference includes the tests with noise on the pixels."
    )
    bills = [one for one in drawings if not one.question]
    yield tag(
        "div", *(picture(one.path, one.alt, tag("code", one.path.name)) for one in bills), class_="pictures"
    )
    yield table(BILL, bill_rows(told.costs[told.base]))


def _failed(told: Told) -> Iterator[Markup]:
    if not told.failures:
        return
    yield heading(2, "Chips that failed", "failed")
    yield paragraph("They are counted in every table and are part of no median.")
    rows = [
        (told.name_of(key), str(len(one.chips)), _chips(one.chips), f"{one.error}: {one.wrong}")
        for key, failed in told.failures.items()
        for one in failed
    ]
    yield table(("condition", "failed", "chips", "error"), rows)


def _chips(numbers: Sequence[int]) -> Content:
    more = f" and {len(numbers) - MOST_CHIPS} more" if len(numbers) > MOST_CHIPS else ""
    return "number " + ", ".join(map(str, numbers[:MOST_CHIPS])) + more
