"""HTML, made from small functions; whatever is not made by one of them is text, and is escaped.

Names, messages and titles come from files and from instruments. So the only way to put a tag into a
page is `tag`, and a plain `str` among its children becomes text, control characters spelt out. The
page asks the browser to load nothing and to run nothing: pictures are inside, and there are no scripts.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TypeAlias

from labctl.console import Table
from labctl.quantity import printable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What the page may load: what it holds itself."""
_MICRO = re.compile(r"(?<=\d) u(?=[VASJWFs](?:\W|$))")
_EMPTY = frozenset({"br", "img", "meta"})


class Markup(str):
    """HTML that may stand as it is. Made by this module alone."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content]"
"""Text, markup, or several of them."""


def text(content: Content) -> Markup:
    """Text as HTML shows it; markup stays what it is."""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape("\n".join(map(printable, content.split("\n")))))
    return Markup("".join(map(text, content)))


def tag(name: str, *children: Content, **attributes: str) -> Markup:
    """An element; the attribute `class_` is "class"."""
    told = "".join(f' {key.rstrip("_")}="{text(value)}"' for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{told}>")
    return Markup(f"<{name}{told}>{text(children)}</{name}>")


def page(title: str, *body: Content) -> str:
    """A whole document."""
    style = files("labctl.document").joinpath("style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Markup(f"<style>{style}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body)), lang='en')}\n"


def micro(content: str) -> str:
    """Quantities as print has them: 3 µJ, where a terminal says 3 uJ."""
    return _MICRO.sub(" µ", content)


# ---- parts of a page -------------------------------------------------------------------------


def heading(level: int, title: str, anchor: str = "") -> Markup:
    """A heading, to be linked to where it has an anchor."""
    return tag(f"h{level}", title, id=anchor) if anchor else tag(f"h{level}", title)


def paragraph(*content: Content, kind: str = "") -> Markup:
    """A paragraph."""
    return tag("p", *content, class_=kind) if kind else tag("p", *content)


def command(line: str) -> Markup:
    """A line for the shell."""
    return tag("pre", tag("code", line), class_="command")


def folded(summary: Content, *content: Content, opened: bool = False) -> Markup:
    """What need not be seen at once."""
    body = (tag("summary", summary), *content)
    return tag("details", *body, open="open") if opened else tag("details", *body)


def code(content: str) -> Markup:
    """A file, as it is."""
    return tag("pre", tag("code", content))


def table(headers: Sequence[Content], rows: Iterable[Sequence[Content]], kind: str = "") -> Markup:
    """Rows under their headers; columns of numbers stand to the right."""
    filled = [[text(cell) for cell in row] for row in rows]
    right = [_numeric([row[index] for row in filled]) for index in range(len(headers))]
    head = tag("tr", *(_cell("th", cell, to) for cell, to in zip(headers, right, strict=True)))
    lines = [
        tag("tr", *(_cell("td", cell, to) for cell, to in zip(row, right, strict=True))) for row in filled
    ]
    parts = ([tag("thead", head)] if any(headers) else []) + [tag("tbody", *lines)]
    return tag("div", tag("table", *parts), class_=f"wide {kind}".strip())


def listed(part: Table) -> Markup:
    """A table of a command's answer."""
    return table(part.headers, [[micro(cell) for cell in row] for row in part.rows])


def _cell(name: str, content: Content, to_right: bool) -> Markup:
    return tag(name, content, class_="number") if to_right else tag(name, content)


def _numeric(cells: Sequence[str]) -> bool:
    """Whether a column holds numbers: what is shown first says so."""
    told = [cell for cell in cells if cell not in ("", "–")]
    return bool(told) and all(cell[0] in "0123456789+-\N{MINUS SIGN}" for cell in told)


def picture(path: Path, alt: str, *caption: Content) -> Markup:
    """A PNG inside the page, with its caption."""
    data = b64encode(path.read_bytes()).decode("ascii")
    image = tag("img", src=f"data:image/png;base64,{data}", alt=alt)
    return tag("figure", image, *([tag("figcaption", *caption)] if caption else []))
