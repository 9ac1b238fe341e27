"""What a plan is: a generator that yields lists of pulses and is sent their traces.

A plan does no I/O and holds no board; it composes with `yield from`, and whoever drives it may be
the session's loop, a dry run or a test that sends traces written by hand. When a list is refused
or goes wrong, the error is thrown in at the `yield`: a plan may catch it, mark a site and go on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from labctl.pulse import Pulse, Trace

T = TypeVar("T")

Plan: TypeAlias = Generator[Sequence[Pulse], Sequence[Trace], T]
