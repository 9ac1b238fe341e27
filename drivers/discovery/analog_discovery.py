"""One Analog Discovery that is open: pins, supplies, one waveform with its capture, and everything off.

What is set is read back, what is awaited is awaited for so long and no longer. A call that never comes back
from the library cannot be ended from here: that is what the guard's lease is for.

Tried on emulators only. Reference: Digilent, "WaveForms SDK Reference Manual" (libdwf 3.x) and "Analog
Discovery 2 Reference Manual"; the sequence of calls is that of Knowm's Memristor Discovery software.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydwf import (
    DwfAcquisitionMode,
    DwfAnalogInFilter,
    DwfAnalogOutFunction,
    DwfAnalogOutIdle,
    DwfAnalogOutNode,
    DwfDeviceParameter,
    DwfState,
    DwfTriggerSource,
)

from drivers.discovery.dwf import asked
from labctl.errors import BoardFault, BoardHung, LabError
from labctl.pulse import Floats

if TYPE_CHECKING:
    from pydwf import DwfDevice

CLOCK = 100e6
"""[Hz] of both converters; a capture has this over a whole number."""
BUFFER = 8192
"""Samples of a capture, at most."""
TABLE = 4096
"""Points of a custom waveform, at most."""
FULL_VOLTS = 5.0
"""[V] of a generator; tables are normalised by it."""
PATIENCE = 1.0
"""[s] for what should be there at once, and on top of what takes a known time."""
POLL = 1e-3
"""[s] between two questions."""
SHUT_DOWN = 2
"""`OnClose`: the device shuts down when its handle is closed, by us or by the end of the process."""
_W1, _CARRIER = 0, DwfAnalogOutNode.Carrier


class Wave(NamedTuple):
    """What the generator plays."""

    table: Floats
    """[V], shape (points,): one period."""
    seconds: float
    """[s] of one period."""
    repeats: int
    rest: float
    """[V] before and after."""


class Listening(NamedTuple):
    """What the scope captures from the start of the generator on."""

    divider: int
    """Of the scope's clock."""
    samples: int
    range_volts: float
    """[V] peak to peak, of both channels."""


class Capture(NamedTuple):
    """What it captured."""

    step: float
    """[s] from sample to sample, the first at the start of the generator."""
    volts: tuple[Floats, Floats]
    """[V], each of shape (samples that arrived,), of channels 1 and 2, as the library gives them."""
    reach: tuple[float, float]
    """[V] beyond which, of either sign, a channel clips."""


class Discovery:
    """One Analog Discovery that is open."""

    def __init__(self, device: DwfDevice, sleep: Callable[[float], None]) -> None:
        self._device, self._sleep = device, sleep

    def prepare(self) -> None:
        """Arm the shutdown on closing, and send settings only when they are complete."""
        asked("OnClose", self._device.paramSet, DwfDeviceParameter.OnClose, SHUT_DOWN)
        armed = asked("OnClose", self._device.paramGet, DwfDeviceParameter.OnClose)
        _agree("OnClose", SHUT_DOWN, armed)
        asked("AutoConfigure", self._device.autoConfigureSet, 0)

    def quiet(self) -> None:
        """Both generators at 0 V and stopped; asked whether they are."""
        out = self._device.analogOut
        for channel in (0, 1):
            asked("generator off", out.nodeEnableSet, channel, _CARRIER, 0)
            asked("generator at 0 V", out.nodeOffsetSet, channel, _CARRIER, 0.0)
            asked("generator stopped", out.configure, channel, 0)
            if asked("state of the generator", out.status, channel) in (DwfState.Running, DwfState.Wait):
                raise BoardFault(f"Analog Discovery: generator {channel + 1} was stopped, and still runs")
            _agree("generator off", 0, asked("generator off", out.nodeEnableGet, channel, _CARRIER))

    def pins(self, bits: int) -> None:
        """All 16 pins driven to these levels, and read back. Raises `BoardFault` if one does not follow."""
        io = self._device.digitalIO
        asked("pins driven", io.outputEnableSet, 0xFFFF)
        asked("pins set", io.outputSet, bits)
        asked("pins set", io.configure)
        asked("pins read", io.status)
        found = asked("pins read", io.inputStatus) & 0xFFFF
        if found != bits:
            wrong = [f"DIO {bit}" for bit in range(16) if (found ^ bits) >> bit & 1]
            raise BoardFault(
                f"Analog Discovery: {', '.join(wrong)} did not follow: {bits:#06x} set, {found:#06x} read",
                todo="a pin is stuck, shorted or not connected: look at the board's header",
            )

    def supplies(self, volts: float) -> None:
        """V+ to `volts` [V] and V- to as much below 0, or both off at 0."""
        io, on = self._device.analogIO, volts > 0
        for channel, level in ((0, volts), (1, -volts)):
            asked("supply", io.channelNodeSet, channel, 0, float(on))
            asked("supply", io.channelNodeSet, channel, 1, level)
        asked("supplies", io.enableSet, on)
        asked("supplies", io.configure)
        asked("supplies", io.status)
        _agree("supplies on", int(on), int(asked("supplies", io.enableStatus)))
        for channel, level in ((0, volts), (1, -volts)):
            _agree("supply", level, asked("supply", io.channelNodeGet, channel, 1))

    def play(self, wave: Wave, listening: Listening) -> Capture:
        """Drive W1 once by this wave, and capture both channels meanwhile."""
        step, reach = self._arm(listening)
        self._fire(wave)
        length = wave.seconds * wave.repeats
        scope, out = self._device.analogIn, self._device.analogOut
        self._until("the capture", DwfState.Done, lambda: scope.status(True), length + PATIENCE)
        self._until("the generator", DwfState.Done, lambda: out.status(_W1), length + PATIENCE)
        valid = asked("samples", scope.statusSamplesValid)
        count = max(min(int(valid), listening.samples), 0)
        if count == 0:
            raise BoardFault("Analog Discovery: a capture without a sample")
        return Capture(step, (self._data(0, count), self._data(1, count)), reach)

    def shut(self, bits: int = 0) -> list[LabError]:
        """Switches open, generators off, supplies off, handle closed: each tried by itself. What failed."""
        steps = [lambda: self.pins(bits), self.quiet, lambda: self.supplies(0.0), self._listen_no_more]
        return tried([*steps, lambda: asked("closing", self._device.close)])

    # ---- one by one -------------------------------------------------------------------------

    def _arm(self, listening: Listening) -> tuple[float, tuple[float, float]]:
        """Wait for the generator: [s] between samples and [V] of both channels, as they came out."""
        scope, samples = self._device.analogIn, listening.samples
        asked("sampling rate", scope.frequencySet, CLOCK / listening.divider)
        hertz = asked("sampling rate", scope.frequencyGet)
        _agree("sampling rate", CLOCK / listening.divider, hertz)
        asked("buffer", scope.bufferSizeSet, samples)
        _agree("buffer", samples, asked("buffer", scope.bufferSizeGet))
        position = samples / 2 / hertz
        asked("trigger position", scope.triggerPositionSet, position)
        _agree("trigger position", position, asked("trigger position", scope.triggerPositionGet), 1 / hertz)
        reach = (self._range(0, listening.range_volts), self._range(1, listening.range_volts))
        asked("acquisition", scope.acquisitionModeSet, DwfAcquisitionMode.Single)
        asked("trigger", scope.triggerAutoTimeoutSet, 0.0)
        asked("trigger", scope.triggerSourceSet, DwfTriggerSource.AnalogOut1)
        asked("scope", scope.configure, True, True)
        self._until("the scope", DwfState.Armed, lambda: scope.status(False), PATIENCE)
        return 1 / hertz, reach

    def _range(self, channel: int, volts: float) -> float:
        """[V] Where the channel clips."""
        scope = self._device.analogIn
        asked("scope channel", scope.channelEnableSet, channel, True)
        asked("scope filter", scope.channelFilterSet, channel, DwfAnalogInFilter.Decimate)
        asked("scope offset", scope.channelOffsetSet, channel, 0.0)
        asked("scope range", scope.channelRangeSet, channel, volts)
        found = asked("scope range", scope.channelRangeGet, channel)
        if not (0.9 * volts <= found <= 2 * volts):  # what is read back is the calibrated range
            raise BoardFault(f"Analog Discovery: a scope range of {volts} V was set, and {found} V is there")
        return found / 2

    def _fire(self, wave: Wave) -> None:
        out = self._device.analogOut
        hertz, run = 1 / wave.seconds, wave.seconds * wave.repeats
        asked("idle level", out.idleSet, _W1, DwfAnalogOutIdle.Offset)
        asked("waveform", out.nodeFunctionSet, _W1, _CARRIER, DwfAnalogOutFunction.Custom)
        asked("frequency", out.nodeFrequencySet, _W1, _CARRIER, hertz)
        asked("amplitude", out.nodeAmplitudeSet, _W1, _CARRIER, FULL_VOLTS)
        asked("offset", out.nodeOffsetSet, _W1, _CARRIER, wave.rest)
        asked("table", out.nodeDataSet, _W1, _CARRIER, (wave.table - wave.rest) / FULL_VOLTS)
        asked("run", out.runSet, _W1, run)
        asked("repeats", out.repeatSet, _W1, 1)
        asked("wait", out.waitSet, _W1, 0.0)
        asked("generator's trigger", out.triggerSourceSet, _W1, DwfTriggerSource.None_)
        asked("generator on", out.nodeEnableSet, _W1, _CARRIER, 1)
        _same("idle level", DwfAnalogOutIdle.Offset, asked("idle level", out.idleGet, _W1))
        shape = asked("waveform", out.nodeFunctionGet, _W1, _CARRIER)
        _same("waveform", DwfAnalogOutFunction.Custom, shape)
        _agree("frequency", hertz, asked("frequency", out.nodeFrequencyGet, _W1, _CARRIER))
        _agree("amplitude", FULL_VOLTS, asked("amplitude", out.nodeAmplitudeGet, _W1, _CARRIER))
        _agree("offset", wave.rest, asked("offset", out.nodeOffsetGet, _W1, _CARRIER), 1e-3)
        _agree("run", run, asked("run", out.runGet, _W1))
        _agree("repeats", 1, asked("repeats", out.repeatGet, _W1))
        asked("start of the generator", out.configure, _W1, 1)

    def _until(self, what: str, state: DwfState, ask: Callable[[], DwfState], seconds: float) -> None:
        """Ask until it is so; `BoardHung` after so many seconds of waiting."""
        begun, waited = time.monotonic(), 0.0
        while (found := asked(f"state of {what}", ask)) is not state:
            if not (waited < seconds and time.monotonic() - begun < 2 * seconds):
                raise BoardHung(
                    f"Analog Discovery: {what} is not {state.name} after {seconds:.3g} s, but {found.name}",
                    todo="plug it in again; see whether Digilent's WaveForms can use it",
                )
            self._sleep(POLL)
            waited += POLL

    def _data(self, channel: int, count: int) -> Floats:
        data = np.asarray(asked("samples", self._device.analogIn.statusData, channel, count), np.float64)
        if data.shape != (count,) or not np.isfinite(data).all():
            raise BoardFault(f"Analog Discovery: {count} samples were asked for, and {data.shape} came")
        return data

    def _listen_no_more(self) -> None:
        asked("scope off", self._device.analogIn.configure, False, False)


def tried(steps: Sequence[Callable[[], object]]) -> list[LabError]:
    """Every step, whatever became of those before; what went wrong."""
    wrong = list[LabError]()
    for step in steps:
        try:
            step()
        except LabError as error:
            wrong.append(error)
    return wrong


def _agree(what: str, wanted: float, found: float, within: float = 0.0) -> None:
    """`BoardFault` where a setting is not what it was set to."""
    if not math.isclose(wanted, found, rel_tol=1e-3, abs_tol=within):
        raise BoardFault(f"Analog Discovery: {what} was set to {wanted:.6g}, and {found:.6g} is there")


def _same(what: str, wanted: object, found: object) -> None:
    """The same for what is no number."""
    if wanted != found:
        raise BoardFault(f"Analog Discovery: {what} was set to {wanted}, and {found} is there")
