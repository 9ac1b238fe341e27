"""A model's answers, checked before anything is done by them.

A model is somebody's code, about devices that nobody has measured in every state: it may raise,
answer NaN, or say what no device does. None of that may reach a pulse, nor end a session in the middle
of a chip. What cannot be is `Lost`, and the site goes on without the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple
from typing import TypeVar

from labctl.programming.prediction import Response, Scatter
from labctl.quantity import printable

T = TypeVar("T")
SLIP = 1e-6
"""Relative: by how much an answer may miss its bounds."""


class Lost(ValueError):
    """The model is of no use for this site."""


class CheckedResponse:
    """A `Response` that raises `Lost` where the one that it asks raises, or answers what cannot be."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self.scatter: Scatter = self._asked(
            "scatter",
            lambda: response.scatter,
            lambda one: all(_countable(sd) for sd in (*astuple(one.rise), *astuple(one.fall), one.read)),
        )

    def noise(self, siemens: float) -> float:
        """See `Response`."""
        return self._asked("noise", lambda: self._response.noise(siemens), _countable)

    def seconds(self, before: float, after: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """See `Response`."""
        return self._asked(
            "seconds", lambda: self._response.seconds(before, after, volts, ohms, shift), lambda one: one >= 0
        )

    def siemens(self, before: float, seconds: float, volts: float, ohms: float, shift: float = 0.0) -> float:
        """See `Response`."""
        return self._asked(
            "siemens",
            lambda: self._response.siemens(before, seconds, volts, ohms, shift),
            lambda one: 0 < one < math.inf,
        )

    def volts(
        self, before: float, after: float, seconds: float, ohms: float, most: float, shift: float = 0.0
    ) -> float:
        """See `Response`."""
        return self._asked(
            "volts",
            lambda: self._response.volts(before, after, seconds, ohms, most, shift),
            lambda one: math.isnan(one) or (0 <= one * math.copysign(1, most) <= abs(most)),
        )

    def shift(self, before: float, after: float, seconds: float, volts: float, ohms: float) -> float:
        """See `Response`."""
        return self._asked(
            "shift",
            lambda: self._response.shift(before, after, seconds, volts, ohms),
            lambda one: not math.isinf(one),
        )

    def gentlest(
        self, before: float, after: float, ohms: float, most: float, shortest: float, longest: float
    ) -> tuple[float, float]:
        """See `Response`."""
        return self._asked(
            "gentlest",
            lambda: self._response.gentlest(before, after, ohms, most, shortest, longest),
            lambda one: shortest * (1 - SLIP) <= one[0] <= longest * (1 + SLIP) and _countable(one[1]),
        )

    def _asked(self, what: str, ask: Callable[[], T], possible: Callable[[T], bool]) -> T:
        try:
            answer = ask()
            if possible(answer):
                return answer
        except Exception as error:  # a stranger's model may raise anything
            raise Lost(
                f"the model failed at {what}: {type(error).__name__}: {printable(str(error))}"
            ) from error
        raise Lost(f"the model answered {printable(repr(answer))} for {what}")


def _countable(one: float) -> bool:
    return 0 <= one < math.inf
