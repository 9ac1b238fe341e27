"""Instructions of Knowm's kT-RAM as plans, on any board with two rows that share a source.

A *synapse* is a pair of memristors in one column, A in the first row and B in the second; its state is the
difference of their conductances. `execute` has the instructions of Knowm's Memristor Discovery software for
its V2 board: reads at low voltage in both directions (FLV, RLV), pulses that raise (FAB, FA, FB) or lower
(RAB, RA, RB) both or one, and the two that decide by the last read: HEBBIAN amplifies the sign that the
synapse has, ANTI_HEBBIAN opposes it. `feedback` has those of Knowm's kT-RAM reference core (FH, FL, FU, FA,
FZ and RH, RL, RU, RA, RZ): one pulse after a read, on the side that its rule names.

A positive row raises a conductance, whatever sign the source has on the board. Sources: memristor-discovery,
`KTRAM_Controller_12` and `Instruction12` (facts, no code); kt-ram neural core, `instructions.py` (MIT).

Patents: Knowm states that emulating the instruction set in software is permitted, and that realising it
in hardware in the United States needs a licence of Knowm. This file names and emulates instructions; what
is built with it is between its builder and Knowm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from labctl.addressing import drive as driving
from labctl.addressing import edge
from labctl.errors import Refused
from labctl.plan import Plan
from labctl.pulse import Floats, Pulse, Purpose, Trace
from labctl.reading import settled_amps, settled_volts
from labctl.shapes import Wave, half_sine, square
from labctl.spec import Spec

A, B = 0, 1
"""Rows of the two memristors of a synapse."""


class Instruction(StrEnum):
    """What a synapse can be told."""

    FLV = "FLV"
    RLV = "RLV"
    FAB = "FAB"
    FA = "FA"
    FB = "FB"
    RAB = "RAB"
    RA = "RA"
    RB = "RB"
    HEBBIAN = "HEBBIAN"
    ANTI_HEBBIAN = "ANTI_HEBBIAN"


class Feedback(StrEnum):
    """What may follow a read in the same direction: by the first letter, forward or reverse."""

    FH = "FH"
    FL = "FL"
    FU = "FU"
    FA = "FA"
    FZ = "FZ"
    RH = "RH"
    RL = "RL"
    RU = "RU"
    RA = "RA"
    RZ = "RZ"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a read saw of one or more synapses at once."""

    y: float
    """[1] Vy: volts of node B less those of node A, over the source's; above 0 where A conducts better."""
    a: float
    """[S] of the memristors of row A together."""
    b: float
    """[S] of those of row B."""

    @property
    def state(self) -> float:
        """[1] (a - b) / (a + b), what Knowm's reference core calls y; 0 where neither conducts."""
        return (self.a - self.b) / (self.a + self.b) if self.a + self.b > 0.0 else 0.0


NOTHING = Answer(0.0, 0.0, 0.0)
"""Before the first read: A is taken to be as good as B, as in Knowm's software."""


@dataclass(frozen=True, slots=True)
class Drive:
    """Amplitudes [V] and width [s]; the first three are those of Memristor Discovery's synapse."""

    forward: float = 1.0
    reverse: float = 0.5
    read: float = 0.08
    seconds: float = 50e-6
    shape: Callable[[float, float], Wave] = half_sine
    """Of the pulses that write, by volts and seconds; reads are squares."""


_ROWS = {"AB": (A, B), "A": (A,), "B": (B,)}


def execute(
    spec: Spec, columns: Sequence[int], what: Instruction, drive: Drive, last: Answer = NOTHING
) -> Plan[Answer]:
    """One instruction on the synapses in these columns; what is known of them afterwards.

    Reads answer with what they saw, all others with `last`, which HEBBIAN and ANTI_HEBBIAN decide by: no
    read is implied. Raises `Refused` on a board that has not two rows with one source.
    """
    _refuse_unsuited(spec, columns)
    match what:
        case Instruction.FLV | Instruction.RLV:
            return (yield from _read(spec, columns, drive, +1 if what is Instruction.FLV else -1))
        case Instruction.HEBBIAN | Instruction.ANTI_HEBBIAN:
            raises_a = (last.a >= last.b) is (what is Instruction.HEBBIAN)
            names = ("FA", "RB") if raises_a else ("RA", "FB")
            yield [_write(spec, columns, name, drive) for name in names]
        case _:
            yield [_write(spec, columns, what.value, drive)]
    return last


def feedback(spec: Spec, columns: Sequence[int], what: Feedback, drive: Drive, last: Answer) -> Plan[None]:
    """The pulse that this feedback gives to synapses whose last read is `last`; for FZ and RZ there is none.

    The reference core holds node y at a multiple of the applied voltage: -1 for FH, +1 for FL, the sign of
    the state for FU, against it for FA; +1 for RH, -1 for RL, with and against the sign for RU and RA. The
    memristor on the side of the other sign then sees twice the voltage, and its partner none.
    """
    _refuse_unsuited(spec, columns)
    forward = what.value[0] == "F"
    side = _held_at(what, last)
    if side:
        row = ("A" if side < 0 else "B") if forward else ("A" if side > 0 else "B")
        yield [_write(spec, columns, what.value[0] + row, drive)]


def _held_at(what: Feedback, last: Answer) -> int:
    """-1, 0 or +1: the multiple of the amplitude that node y is held at."""
    sign = (last.state > 0.0) - (last.state < 0.0)
    forward = what.value[0] == "F"
    by_rule = {"H": -1 if forward else +1, "L": +1 if forward else -1, "U": sign, "A": -sign, "Z": 0}
    return by_rule[what.value[1]]


def _read(spec: Spec, columns: Sequence[int], drive: Drive, sign: int) -> Plan[Answer]:
    pulse = _pulse(spec, columns, (A, B), _level(spec, sign * drive.read, drive.seconds), Purpose.READ)
    (trace,) = yield [pulse]
    volts, a = _node(spec, columns, pulse, trace, A)
    other, b = _node(spec, columns, pulse, trace, B)
    return Answer((other - volts) / (sign * drive.read), a, b)


def _node(spec: Spec, columns: Sequence[int], pulse: Pulse, trace: Trace, row: int) -> tuple[float, float]:
    """[V] of the row's node, settled, and [S] of what hangs on it; a negative conductance is none."""
    amps = settled_amps(pulse, trace, row)
    volts = settled_volts(pulse, trace, row) - amps * spec.series_ohms[row]
    switches = spec.series_ohms[spec.rows + columns[0]] / len(columns)
    across = volts - amps * switches
    if abs(amps) < spec.noise_floor_amps or across == 0.0:
        return volts, 0.0
    return volts, max(amps / across, 0.0)


def _write(spec: Spec, columns: Sequence[int], name: str, drive: Drive) -> Pulse:
    """A pulse by its name: F raises, R lowers, then the rows."""
    forward = name[0] == "F"
    wave = drive.shape(drive.forward if forward else -drive.reverse, drive.seconds)
    return _pulse(spec, columns, _ROWS[name[1:]], wave, Purpose.PROGRAM if forward else Purpose.RESET)


def _pulse(spec: Spec, columns: Sequence[int], rows: Sequence[int], wave: Wave, purpose: Purpose) -> Pulse:
    """The wave on these rows, the columns at 0 V, all else open."""
    highest, lowest = float(wave.volts.max()), float(wave.volts.min())
    peak = highest if highest >= -lowest else lowest
    if peak == 0.0:
        raise Refused("an instruction without a voltage", allowed="amplitudes above 0 V")
    shape: Floats = wave.volts / peak
    lines = dict.fromkeys(rows, peak) | {spec.rows + column: 0.0 for column in columns}
    return driving(spec, lines, Wave(wave.seconds, shape), purpose)


def _level(spec: Spec, volts: float, seconds: float) -> Wave:
    return square(volts, seconds, edge(spec, seconds))


def _refuse_unsuited(spec: Spec, columns: Sequence[int]) -> None:
    if spec.rows != 2 or (A, B) not in spec.shared_sources or not columns:
        raise Refused(
            f"{spec.name} has no pairs of memristors that share a source, or no column was named",
            allowed="two rows with one source, such as a Memristor Discovery V2 board in mode 2",
        )
