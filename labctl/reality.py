"""What is real and what is not, in one word: a person must never have to guess which."""

from __future__ import annotations

WORDS = {"board": "real", "emulator": "emulated", "sim": "simulated", "replay": "replayed"}
"""By the `kind` of a bench file."""
COLOURS = {"real": "bold red", "emulated": "yellow", "simulated": "green", "replayed": "cyan"}
"""On a terminal; the word is always there too."""


def reality(kind: str) -> str:
    """The word for this kind; another kind is its own word.

    >>> reality("board"), reality("sim"), reality("study")
    ('real', 'simulated', 'study')
    """
    return WORDS.get(kind, kind)
