"""A full report of a device: all procedures, in an order that asks nothing it has not shown to stand.

First what moves nothing: the first look, which ends the report for an open or a short device, and
read noise. Then small loops, and thresholds, from which on the device is known to switch; pulse
response and programming statistics; only then loops at full amplitude, and the drift of the state
that they leave behind. Endurance, which ends a device, is measured only when it is asked for. Each
step has its own caps, and the report's own hold for all steps of a site together.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from labctl.characterize.endurance import Endurance, EnduranceSettings
from labctl.characterize.first_use import FirstUse, FirstUseSettings
from labctl.characterize.iv import IV, IVSettings
from labctl.characterize.noise import Noise, NoiseSettings
from labctl.characterize.procedure import AnyProcedure, Capped
from labctl.characterize.programming import ClosedLoop, ProgrammingSettings
from labctl.characterize.protocol import Protocol, Step
from labctl.characterize.response import Response, ResponseSettings
from labctl.characterize.retention import Retention, RetentionSettings
from labctl.characterize.statistics import StatisticsSettings, WriteVerify
from labctl.characterize.threshold import Threshold, ThresholdSettings
from labctl.config import Count, Joules, PositiveSeconds

NAME, TITLE = "report", "A full device report: all of these, in a safe order"

Optional: TypeAlias = Literal[
    "noise",
    "iv_small",
    "threshold",
    "response",
    "write_verify",
    "programming",
    "iv_large",
    "retention",
]

UNDECIDING = ("write_verify",)
"""Steps that may fail on a sound device: targets may lie outside the range that it has."""


class ReportSettings(Capped):
    """One table for each step, with the settings of its procedure, in their order."""

    most_pulses: Count = 50_000
    most_energy: Joules = 0.05
    most_time: PositiveSeconds = 1e6
    leave_out: tuple[Optional, ...] = ()
    """Steps that are not wanted, or that the board cannot do; the first look is always taken."""
    with_endurance: bool = False
    """Endurance last; it wears a device out."""
    first_use: FirstUseSettings = FirstUseSettings()
    noise: NoiseSettings = NoiseSettings(reads=512)
    iv_small: IVSettings = IVSettings(amplitude=0.5, cycles=5)
    threshold: ThresholdSettings = ThresholdSettings(cycles=2)
    response: ResponseSettings = ResponseSettings()
    write_verify: StatisticsSettings = StatisticsSettings(cycles=5)
    programming: ProgrammingSettings = ProgrammingSettings(cycles=8)
    iv_large: IVSettings = IVSettings()
    retention: RetentionSettings = RetentionSettings(last=100.0)
    endurance: EnduranceSettings = EnduranceSettings()


def report_of(settings: ReportSettings) -> Protocol:
    """The steps in their order, without those that are left out."""
    how = settings
    steps: tuple[tuple[str, AnyProcedure], ...] = (
        ("first_use", FirstUse(how.first_use)),
        ("noise", Noise(how.noise)),
        ("iv_small", IV(how.iv_small)),
        ("threshold", Threshold(how.threshold)),
        ("response", Response(how.response)),
        ("write_verify", WriteVerify(how.write_verify)),
        ("programming", ClosedLoop(how.programming)),
        ("iv_large", IV(how.iv_large)),
        ("retention", Retention(how.retention)),
        *((("endurance", Endurance(how.endurance)),) if how.with_endurance else ()),
    )
    kept = tuple(
        Step(name, procedure, decides=name not in UNDECIDING)
        for name, procedure in steps
        if name not in how.leave_out
    )
    return Protocol(NAME, TITLE, settings, kept)
