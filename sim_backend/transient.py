"""What goes into ngspice and what comes out: a job and its waves, and the checks on both. No I/O.

A job must be a circuit made from numbers and nothing else, because a netlist may carry scripts that
run commands and read files. The waves must be the whole answer: ngspice can stop early, leave a
vector out or compute what is not a number, and none of that may pass for a result.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from labctl.errors import BoardFault, NoConvergence, Outputs, Refused

Floats = npt.NDArray[np.float64]

MOST_SAMPLES = 5_000_000
MOST_CHARACTERS = 1_000
"""Of an alteration: ngspice cuts a command off at 1,023, silently."""

_SOLVE = "look at the circuit's values, or take a smaller max_step"
_CIRCUIT = "this is a fault of the program that made the circuit, or of its numbers"

# These are all the dot-commands that a circuit needs. No line may be what ngspice takes for a script.
_SCRIPT = re.compile(
    r"^[ \t]*(?:\.(?!(?:options?|model|subckt|ends|param|func|save|end|ic)\b)|\*#|\*ng_)",
    re.IGNORECASE | re.MULTILINE,
)
_ASSIGNMENT = re.compile(
    r"(@?[a-z]\w*(?:\[[a-z]\w*\]| +[a-z]\w*)) *= *([-+0-9.e]+|\[[-+0-9.e ]+\])", re.IGNORECASE
)
_VECTOR = re.compile(r"[\w.#@\[\]]+")


@dataclass(frozen=True, slots=True)
class Job:
    """One transient from 0 to `stop` [s], in steps of at most `max_step` [s], from initial conditions.

    `circuit` is a whole netlist: title, elements, `.save`, `.end`. `alter` are assignments in the
    loaded circuit, such as "cx ic = 0.2" or "@vs[pwl] = [ 0 0 1e-06 1 ]". `vectors` are the names to
    bring back, as ngspice knows them: "x" for v(x), "vs#branch" for the current into the + of vs.
    """

    circuit: str
    stop: float
    max_step: float
    vectors: tuple[str, ...]
    alter: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `Refused` unless this is a job for ngspice and nothing else."""
        if not self.circuit.isascii() or "\0" in self.circuit:
            raise Refused(
                "a circuit with characters that are not ASCII", todo="make circuits from numbers only"
            )
        if script := _SCRIPT.search(self.circuit):
            line = self.circuit[script.start() :].partition("\n")[0].strip()
            raise Refused(
                f"a circuit must not have the line: {line[:80]}", todo="make circuits from numbers only"
            )
        if not (0 < self.max_step < math.inf and 0 < self.stop / self.max_step <= MOST_SAMPLES):
            raise Refused(
                f"a transient of {self.stop:g} s in steps of {self.max_step:g} s",
                allowed=f"both above zero, and at most {MOST_SAMPLES:,} steps",
            )
        if bad := [name for name in self.vectors if not _VECTOR.fullmatch(name)]:
            raise Refused(f"not the name of a vector: {bad[0]!r}", allowed="such as x or vs#branch")

    def altered(self) -> tuple[str, ...]:
        """The names of what is altered, sorted; `Refused` if an assignment is none."""
        return tuple(sorted({_altered(text) for text in self.alter}))


def _altered(text: str) -> str:
    """The left side of an assignment that ngspice's `alter` takes, and of nothing besides."""
    found = _ASSIGNMENT.fullmatch(text)
    if found is None or len(text) > MOST_CHARACTERS:
        raise Refused(
            f"not an alteration: {text[:80]!r}",
            allowed=f"such as 'cx ic = 0.2' or '@vs[pwl] = [ 0 0 1e-6 1 ]', {MOST_CHARACTERS:,} characters",
            todo="write a longer waveform into the circuit",
        )
    if found[1].lower().endswith("[pwl]") and len(found[2].strip("[]").split()) % 2:
        raise Refused(f"a time without its voltage: {text[:80]!r}", allowed="pairs of seconds and volts")
    return " ".join(found[1].lower().split())


@dataclass(frozen=True, slots=True)
class Waves:
    """What a job did: `seconds` [s], shape (samples,), and `values` [V or A], shape (vectors, samples).

    ngspice keeps no sample at 0: the first comes a first small step later. The last is at `stop`.
    """

    seconds: Floats
    values: Floats


def waves(job: Job, head: dict[str, Any], body: bytearray) -> Waves:
    """The waves in ngspice's answer (see `engine_child`) if they are the whole of it.

    `BoardFault` if ngspice did not take the circuit, `NoConvergence` if it did not solve it to the end.
    """
    if "error" in head:
        _raise(head)
    rows = np.frombuffer(body, np.float64).reshape(1 + len(job.vectors), -1)
    if not rows.size or rows.shape[1] != head["samples"]:
        raise BoardFault("ngspice sent no samples, or too few", outputs=Outputs.OFF)
    seconds = rows[0]
    if not np.isfinite(rows).all():
        raise NoConvergence("ngspice computed values that are not numbers", outputs=Outputs.OFF, todo=_SOLVE)
    if not abs(seconds[-1] / job.stop - 1) < 1e-9:
        raise NoConvergence(
            f"the transient stopped at {seconds[-1]:g} s of {job.stop:g} s", outputs=Outputs.OFF, todo=_SOLVE
        )
    return Waves(seconds, rows[1:])


def _raise(head: dict[str, Any]) -> NoReturn:
    if head["error"] == "circuit":
        raise BoardFault(
            f"ngspice did not take the circuit:\n{head['text']}", outputs=Outputs.OFF, todo=_CIRCUIT
        )
    raise NoConvergence(f"ngspice found no solution:\n{head['text']}", outputs=Outputs.OFF, todo=_SOLVE)
