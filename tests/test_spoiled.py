"""Each law can be broken: for every one there is a board that is spoiled in one way and breaks it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from labctl.addressing import wait
from labctl.board import Board
from labctl.contract import LAWS, PROGRAMMING_LAWS, Outcome, examine
from labctl.contract.probe import Law
from labctl.errors import LimitExceeded, Refused
from labctl.pulse import Pulse, Purpose, Trace
from labctl.spec import Shapes, Spec
from sim_backend.compact import CompactBoard
from tests.boards import compact

ALL = (*LAWS, *PROGRAMMING_LAWS)


class Spoiled(Board):
    """A sound board behind one that is to be spoiled; by itself it changes nothing."""

    def __init__(self, circuit: str = "selector-1x16") -> None:
        inner = compact(circuit)
        assert isinstance(inner, CompactBoard)
        self.inner = inner
        self.spec = inner.spec

    def _open(self) -> None:
        self.inner.__enter__()

    def _close(self) -> None:
        self.inner.__exit__(None, None, None)

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        sent = [self.pulse(pulse) for pulse in pulses]
        yield from map(self.trace, pulses, self.inner.apply(sent))

    def pulse(self, pulse: Pulse) -> Pulse:
        """What is driven instead."""
        return pulse

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        """What is answered instead."""
        return trace


# ---- spoiled answers --------------------------------------------------------------------------


class Swaps(Spoiled):
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        yield from list(super()._drive(pulses))[::-1]


class AnswersNothing(Spoiled):
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        yield from super()._drive(pulses or [wait(self.spec, 1e-3)])


class Drops(Spoiled):
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        yield from list(super()._drive(pulses))[1:]


class NotNumbers(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, amps=trace.amps * np.nan)


class TooFewSamples(Spoiled):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, samples=1000)


class LosesSamples(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return Trace(trace.seconds[1:-3], trace.volts[1:-3], trace.amps[1:-3])


class SagsUnderLoad(Spoiled):
    def pulse(self, pulse: Pulse) -> Pulse:
        return replace(pulse, volts=pulse.volts * 0.9)


class LeaksThroughSwitches(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, amps=trace.amps + 1e-8 * ~pulse.driven)


class MissesCharge(Spoiled):
    """One ammeter is out of calibration."""

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        gains = np.ones(self.spec.lines)
        gains[0] = 1.1
        return replace(trace, amps=trace.amps * gains)


class GivesEnergy(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, amps=-trace.amps)


class ForgetsRepeats(Spoiled):
    def pulse(self, pulse: Pulse) -> Pulse:
        return pulse.repeated(1)


class HidesRepeats(Spoiled):
    """Drives once and stretches the answer."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse in pulses:
            trace = self.inner.apply([pulse.repeated(1)])[0]
            yield replace(trace, seconds=trace.seconds * pulse.repeats, amps=trace.amps / pulse.repeats)


class HasOffset(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, amps=trace.amps + 1e-8 * pulse.driven)


class FarFromOhmic(Spoiled):
    """Its currents grow with the square of the voltage."""

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, amps=trace.amps * (1 + 100 * np.abs(pulse.volts).max()))


class HurriesThroughLists(Spoiled):
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        gain = 0.9 if len(pulses) > 1 else 1.0
        for trace in super()._drive(pulses):
            yield replace(trace, amps=trace.amps * gain)


# ---- spoiled devices --------------------------------------------------------------------------


class Moves(Spoiled):
    """Every site moves by a little when something happens that should not move it."""

    def move(self) -> None:
        self.inner._chip.x[:] += 0.01


class DriftsWhenRead(Moves):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        if pulse.purpose is Purpose.READ:
            self.inner._chip.x[:] += 1e-4
        return trace


class DriftsWhenIdle(Moves):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        if pulse.purpose is Purpose.WAIT:
            self.move()
        return trace


class Forgets(Moves):
    def _close(self) -> None:
        super()._close()
        self.move()


class DisturbsNeighbours(Moves):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        if pulse.purpose is Purpose.PROGRAM:
            self.move()
        return trace


class WrongWayRound(Spoiled):
    def pulse(self, pulse: Pulse) -> Pulse:
        return replace(pulse, volts=-pulse.volts)

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, volts=-trace.volts, amps=-trace.amps)


class CountsPulses(Moves):
    """The width of a pulse makes no difference."""

    def pulse(self, pulse: Pulse) -> Pulse:
        return replace(pulse, seconds=pulse.seconds / pulse.seconds[-1] * 1e-4)


class LastFirst(Spoiled):
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        yield from list(super()._drive(pulses[::-1]))[::-1]


# ---- spoiled neurons --------------------------------------------------------------------------


class WeakNeurons(Spoiled):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, volts=self.answered(trace, lambda volts: 0.8 * volts))

    def answered(self, trace: Trace, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        volts, outputs = trace.volts.copy(), [neuron.output for neuron in self.spec.neurons]
        volts[:, outputs] = change(volts[:, outputs])
        return volts


class NeuronsWithoutRails(WeakNeurons):
    """What they answer is twice what their rails allow."""

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, volts=self.answered(trace, lambda v: np.where(np.abs(v) > 0.09, 2 * v, v)))


class NeuronsWithOffset(WeakNeurons):
    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return replace(trace, volts=self.answered(trace, lambda volts: volts + 0.02))


class NeuronsThatRemember(WeakNeurons):
    """The answer to one pattern stays in the next."""

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for turn, trace in enumerate(super()._drive(pulses)):
            yield replace(trace, volts=self.answered(trace, lambda v, turn=turn: v + 0.02 * (turn > 0)))

    def trace(self, pulse: Pulse, trace: Trace) -> Trace:
        return trace


# ---- spoiled gates ----------------------------------------------------------------------------


class LaxSpec(Spec):
    """Objects to nothing."""

    def check(self, pulses: Sequence[Pulse]) -> None:
        pass


class Clips(Spoiled):
    """Drives what it can of what it should refuse: here nothing, without a word."""

    def __init__(self, circuit: str = "selector-1x16") -> None:
        super().__init__(circuit)
        self.spec = LaxSpec(**{field.name: getattr(self.spec, field.name) for field in fields(Spec)})

    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        for pulse in pulses:
            try:
                yield from self.inner.apply([pulse])
            except LimitExceeded:
                yield from self.inner.apply([wait(self.spec, 1e-3)])


class RefusesTooLate(Spoiled):
    """Drives until the first bad pulse and refuses then; a bad pulse itself leaves its mark."""

    def apply(self, pulses: Sequence[Pulse]) -> list[Trace]:
        try:
            return super().apply(pulses)
        except LimitExceeded:
            self.inner._chip.x[:] += 0.01
            raise


class Peculiar(Spoiled):
    """Sound, with grounded columns that share sources, and levels only."""

    def __init__(self) -> None:
        super().__init__()
        columns = tuple(range(1, self.spec.lines))
        self.spec = replace(
            self.spec, shapes=Shapes.STEPS, edge_seconds=1e-6, grounded=columns, shared_sources=(columns[:8],)
        )


class PeculiarAndLax(Clips):
    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, grounded=(1,))


class NeverClosed(Spoiled):
    def apply(self, pulses: Sequence[Pulse]) -> list[Trace]:
        try:
            return super().apply(pulses)
        except LimitExceeded:
            raise
        except Refused:
            with self.inner:
                return self.inner.apply(pulses)


class DrivesAfterLeaving(Spoiled):
    left = False

    def _close(self) -> None:
        super()._close()
        self.left = True

    def apply(self, pulses: Sequence[Pulse]) -> list[Trace]:
        if not self.left or self._entered:
            return super().apply(pulses)
        with self.inner:
            return self.inner.apply(pulses)


class ManyMasters(Spoiled):
    def __enter__(self):
        if not self._entered:
            super().__enter__()
        return self


# ---- the table --------------------------------------------------------------------------------

BREAKS: list[tuple[str, Callable[[], Board]]] = [
    ("a_list_is_answered_in_order", Swaps),
    ("a_list_is_answered_in_order", Drops),
    ("nothing_is_answered_by_nothing", AnswersNothing),
    ("traces_are_whole", NotNumbers),
    ("traces_are_whole", TooFewSamples),
    ("seconds_add_up", LosesSamples),
    ("seconds_add_up", ForgetsRepeats),
    ("commanded_volts_appear", SagsUnderLoad),
    ("open_lines_carry_no_current", LeaksThroughSwitches),
    ("a_list_reads_as_its_pulses_do", HurriesThroughLists),
    ("only_an_open_board_drives", NeverClosed),
    ("only_an_open_board_drives", DrivesAfterLeaving),
    ("a_board_is_entered_once", ManyMasters),
    ("devices_outlive_the_session", Forgets),
    ("charge_is_conserved", MissesCharge),
    ("passive_devices_deliver_nothing", GivesEnergy),
    ("repeats_cost_as_often", HidesRepeats),
    ("no_volts_no_amps", HasOffset),
    ("reading_changes_nothing", DriftsWhenRead),
    ("waiting_changes_nothing", DriftsWhenIdle),
    ("small_reads_are_ohmic", FarFromOhmic),
    ("small_reads_are_ohmic", GivesEnergy),
    ("neurons_sum_and_saturate", lambda: WeakNeurons("network")),
    ("neurons_sum_and_saturate", lambda: NeuronsWithoutRails("network")),
    ("patterns_are_answered_one_by_one", lambda: NeuronsWithOffset("network")),
    ("patterns_are_answered_one_by_one", lambda: NeuronsThatRemember("network")),
    ("too_many_volts_are_refused", Clips),
    ("too_many_volts_are_refused", RefusesTooLate),
    ("too_many_amps_are_refused", lambda: Clips("crossbar-4x4")),
    ("wrong_lengths_are_refused", Clips),
    ("what_is_no_pulse_is_refused", Clips),
    ("what_is_no_pulse_is_refused", RefusesTooLate),
    ("what_sources_cannot_make_is_refused", PeculiarAndLax),
    ("one_bad_pulse_refuses_its_list", Clips),
    ("one_bad_pulse_refuses_its_list", RefusesTooLate),
    ("polarity_is_right", WrongWayRound),
    ("what_was_programmed_stays", Forgets),
    ("neighbours_are_left_alone", DisturbsNeighbours),
    ("halves_make_a_whole", CountsPulses),
    ("repeats_add_up", ForgetsRepeats),
    ("a_list_programs_as_its_pulses_do", LastFirst),
    ("a_refused_list_programs_nothing", RefusesTooLate),
]


def law(name: str) -> Law:
    return next(law for law in ALL if law.__name__ == name)


@pytest.mark.parametrize(("name", "spoiled"), BREAKS)
def test_a_spoiled_board_breaks_the_law(name: str, spoiled: Callable[[], Board]) -> None:
    verdict = examine(spoiled(), [law(name)])[0]
    assert verdict.outcome is Outcome.BROKEN
    assert verdict.why


def test_every_law_can_be_broken() -> None:
    assert {name for name, _ in BREAKS} == {law.__name__ for law in ALL}


@pytest.mark.parametrize(
    "board", [Spoiled, Peculiar, lambda: Spoiled("crossbar-4x4"), lambda: Spoiled("network")]
)
def test_what_is_not_spoiled_breaks_none(board: Callable[[], Board]) -> None:
    assert [verdict for verdict in examine(board(), ALL) if verdict.outcome is Outcome.BROKEN] == []


def test_between_them_the_sound_boards_leave_no_law_untried() -> None:
    tried = {
        verdict.law
        for board in (Peculiar(), Spoiled("crossbar-4x4"), Spoiled("network"))
        for verdict in examine(board, ALL)
        if verdict.outcome is Outcome.KEPT
    }
    assert tried == {law.__name__ for law in ALL}
