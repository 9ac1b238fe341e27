"""The one seam: everything above it plans, everything below it drives.

For those who call: a board is entered, given lists of pulses, and left::

    with board:
        traces = board.apply(pulses)

For those who write one: a backend is a subclass with one required method, `_drive`, that yields
one trace for each pulse, in order. `_open`, `_close` and `_make_safe` are there for boards that
have something to open, close or switch off; each may be called when it has already been done. What
a backend cannot get wrong is final here: limits are checked before anything is driven, the board
is made safe when anything fails, a half-failed opening closes itself, and the traces measured
before a failure are kept with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, final

from labctl.errors import BoardFault, LabError, Misbehaved, Outputs, Refused
from labctl.pulse import Pulse, Trace, all_whole
from labctl.spec import Spec


class Board(ABC):
    """Pulses go down, traces come up."""

    spec: Spec
    """What this board is; set by the constructor, and the same for its whole life."""

    _entered = False

    @abstractmethod
    def _drive(self, pulses: Sequence[Pulse]) -> Iterator[Trace]:
        """Drive pulses that have been checked, and yield one trace for each, in order."""

    def _open(self) -> None:
        """Take the instrument, leave its outputs off."""

    def _refuse(self, pulses: Sequence[Pulse]) -> None:
        """Raise `Refused` for what no `Spec` can say of this instrument. The limits have been checked."""

    def _close(self) -> None:
        """Give the instrument back. Called once for each entering, also when `_open` failed half way."""

    def _make_safe(self) -> Outputs:
        """Switch off, and say what is known of it afterwards. A simulated board has nothing to switch off."""
        return Outputs.OFF

    @final
    def __enter__(self) -> Self:
        """Open; what fails half way is closed again."""
        if self._entered:
            raise Refused(f"{self.spec.name} is open already", allowed="one `with` at a time")
        try:
            self._open()
        except BaseException as error:
            outputs = self._leave()
            if isinstance(error, LabError) and error.outputs is not None:
                error.outputs = outputs  # whatever it said while it was still opening
            raise
        self._entered = True
        return self

    @final
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make safe, then close, whatever happened inside.

        Raises `BoardFault` where the outputs are not confirmed to be off, unless another error is on its way.
        """
        entered, self._entered = self._entered, False
        outputs = self._leave()
        if entered and error is None and outputs is not Outputs.OFF:
            self._left(outputs)

    @final
    def apply(self, pulses: Sequence[Pulse]) -> list[Trace]:
        """Check the whole list against the limits, drive it, and return one trace for each pulse.

        Raises `Refused` (nothing was driven) or `Misbehaved` (with the traces measured so far, and
        whether outputs are off).
        """
        if not self._entered:
            raise Refused(f"{self.spec.name} is not open", allowed="`with board:` around what drives it")
        self.spec.check(pulses)
        self._refuse(pulses)
        traces: list[Trace] = []
        try:
            traces.extend(self._drive(pulses))
        except Misbehaved as error:
            error.traces = tuple(traces[: self._sound(traces, len(pulses))])
            error.outputs = self._outputs_after_safing()
            raise
        except Exception as error:
            if isinstance(error, Refused) and not traces:  # by a board that lives elsewhere: see `_refuse`
                error.outputs = self._outputs_after_safing()
                raise
            sound = self._sound(traces, len(pulses))
            raise self._fault(f"{type(error).__name__}: {error}", traces[:sound]) from error
        except BaseException:
            self._outputs_after_safing()
            raise
        sound = self._sound(traces, len(pulses))
        if len(traces) != len(pulses):
            raise self._fault(f"{len(traces)} traces for {len(pulses)} pulses", traces[:sound])
        if sound < len(traces):
            wrong = (
                f"the trace of pulse {sound + 1} is not samples of finite numbers on {self.spec.lines} lines"
            )
            raise self._fault(wrong, traces[:sound])
        return traces

    @final
    def make_safe(self) -> Outputs:
        """Switch off now, whether the board is open or not, and say what is known of the outputs."""
        return self._outputs_after_safing()

    def _sound(self, traces: Sequence[Trace], most: int) -> int:
        """How many of these, from the first on, can be believed to be traces: at most `most`."""
        lines = self.spec.lines
        if all_whole(traces[:most], lines):
            return min(len(traces), most)
        return next(index for index, trace in enumerate(traces) if not all_whole([trace], lines))

    def _fault(self, wrong: str, traces: Sequence[Trace]) -> LabError:
        return BoardFault(
            f"{self.spec.name}: {wrong}",
            outputs=self._outputs_after_safing(),
            saved=f"the traces of {len(traces)} pulses",
            todo="this is a fault of the board's driver: report it with the run folder",
            traces=traces,
        )

    def _outputs_after_safing(self) -> Outputs:
        """What is known of the outputs; a failure to switch off must not hide what went wrong before."""
        try:
            return self._make_safe()
        except Exception:  # noqa: BLE001 - whatever it is, nothing is known of the outputs
            return Outputs.UNKNOWN

    def _leave(self) -> Outputs:
        try:
            return self._make_safe()
        finally:
            self._close()

    def _left(self, outputs: Outputs) -> None:
        """Nobody is there any more to ask what is known of the outputs: it is told now."""
        raise BoardFault(
            f"{self.spec.name} was left, and its outputs are not confirmed to be off",
            outputs=outputs,
            todo="switch off by hand, then look at the instrument",
        )
