"""Read noise: very many equal reads at a fixed period, and what their scatter is made of.

A read and the pause after it are one pulse with the lines held at 0 V in between, so that no switch
is thrown from one read to the next; a period longer than the site allows a pulse becomes a read and a
wait. The period is exact inside a list of pulses; between lists a real board adds what its link
takes, and the figure "jitter" says how much that is.

All figures are of y = ln R less its mean: its spread, its spectrum, its Allan deviation, two levels
if there are two (`labctl.characterize.spectrum`, `labctl.characterize.telegraph`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from labctl.addressing import level, wait
from labctl.characterize import spectrum
from labctl.characterize.booking import bench_seconds
from labctl.characterize.estimates import interval_columns, with_interval
from labctl.characterize.probing import probe, read, siemens_or_nan
from labctl.characterize.procedure import Capped, Column, Figures, Procedure, Row
from labctl.characterize.tables import column
from labctl.characterize.telegraph import NONE, telegraph
from labctl.config import PositiveSeconds, Quantity
from labctl.errors import Refused
from labctl.estimates import Interval, bootstrap, line, spread
from labctl.plan import Plan
from labctl.programming.write_verify import Reading
from labctl.pulse import Floats, Pulse, Purpose
from labctl.reading import SETTLED
from labctl.shapes import Wave
from labctl.spec import Spec

MOST_AT_ONCE = 256
LONGEST_LIST = 30.0
"""[s] A run can be stopped between two lists."""
EVIDENT = 2.0
"""How many times the instrument's floor the white noise must be to be the device's own."""
MOSTLY = 0.5
"""Of the variance: what explains more of it is what is said of the series."""


class NoiseSettings(Capped):
    """How often, and at which pace."""

    reads: Annotated[int, Field(ge=spectrum.FEWEST, le=10**6)] = 2048
    period: PositiveSeconds = 1e-3
    """From one read to the next."""
    temperature: Annotated[float, Quantity("K", above=0)] = 298.0
    """For the thermal floor."""
    reading: Reading = Reading()


class Noise(Procedure[NoiseSettings]):
    """Only reads."""

    name = "noise"
    title = "Read noise: spectrum, Allan deviation, two levels"
    wears = False
    Settings = NoiseSettings
    columns = (
        Column("seconds", "s", "of bench time since the first read, at the end of this one"),
        Column("siemens", "S", "of the device; 0 below the noise floor of the board"),
    )
    figures = (
        Column("reads", "1", "that found the device"),
        Column("ohms", "ohm", "exponential of the mean of ln R"),
        *interval_columns("sd", "1", "standard deviation of ln R (bootstrap, as if reads were independent)"),
        Column("step_sd", "1", "from read to read: that of the differences over sqrt(2)"),
        Column("drift", "1/s", "slope of ln R against time"),
        Column("drift_part", "1", "of the variance of ln R that this straight line explains"),
        Column("jitter", "1", "largest deviation of a period from the mean period"),
        Column("exponent", "1", "of f in flicker noise; NaN: only white noise, or a crooked drift"),
        Column("exponent_error", "1", "standard error"),
        Column("flicker", "1/Hz", "relative flicker density at 1 Hz"),
        Column("flicker_amps", "A^2/Hz", "the same as noise of the current at this read voltage"),
        Column("white", "1/Hz", "relative white density"),
        Column("white_amps", "A^2/Hz", "the same as noise of the current"),
        Column("corner", "Hz", "where flicker and white density are equal"),
        Column("allan_slope", "1", "of the Allan deviation in tau, first decade; white noise: -0.5"),
        Column("allan_slope_late", "1", "the same in the last decade; flicker: 0, drift: +1"),
        Column("allan_floor", "1", "least Allan deviation"),
        Column("allan_floor_seconds", "s", "the tau at which it is reached"),
        Column("telegraph", "", "yes, or why not"),
        Column("telegraph_step", "1", "distance of the two levels in ln R"),
        Column("seconds_low", "s", "mean time in the level of lower resistance"),
        Column("seconds_high", "s", "mean time in the level of higher resistance"),
        Column("thermal_amps", "A^2/Hz", "4 k T G, as these reads see it"),
        Column("shot_amps", "A^2/Hz", "2 q I, as these reads see it"),
        Column("instrument_amps", "A^2/Hz", "of the board's own noise, as these reads see it"),
        Column(
            "limited_by", "", "what the white noise is: the device, the instrument, or none beside a drift"
        ),
    )

    def foreseen(self, spec: Spec, site: int) -> Sequence[Pulse]:
        """One read with its pause."""
        probing = read(spec, site, self.settings.reading)
        if not self.settings.period >= probing.duration:
            raise Refused(
                f"a read every {self.settings.period:g} s that takes {probing.duration:g} s",
                allowed="a period at least as long as the read",
            )
        return self._turn(spec, site)

    def plan(self, spec: Spec, site: int, rows: list[Row]) -> Plan[None]:
        """Lists of equal reads; an open device is given up after the first list."""
        how, turn = self.settings, self._turn(spec, site)
        most = max(min(MOST_AT_ONCE, int(LONGEST_LIST / how.period)), 1)
        now = float(rows[-1]["seconds"]) if rows else 0.0
        while len(rows) < how.reads and not _open(rows, most):
            count = min(most, how.reads - len(rows))
            traces = yield turn * count
            for place in range(0, len(traces), len(turn)):
                now += bench_seconds(traces[place : place + len(turn)])
                found = siemens_or_nan(spec, turn[0], traces[place], site)
                rows.append({"seconds": now, "siemens": found})

    def summary(self, spec: Spec, site: int, rows: Sequence[Row]) -> Figures:
        """Everything that the series says of its noise."""
        seen = series(rows, self.settings.period)
        if len(seen.values) < spectrum.FEWEST:
            why = "open" if rows and not any(float(row["siemens"]) > 0 for row in rows) else "too few reads"
            blank: dict[str, float | str] = {one.name: math.nan if one.unit else "" for one in self.figures}
            return blank | {
                "reads": len(seen.values),
                "telegraph": f"no: {why}",
                "limited_by": f"none: {why}",
            }
        amps = self.amps(spec, site, 1 / seen.ohms)
        found = spectrum.flicker(seen.values, seen.period)
        return (
            {"reads": len(seen.values), "ohms": seen.ohms}
            | _in_time(seen)
            | _spectral(found, amps)
            | _levels(seen)
            | self._floors(spec, site, seen, found)
        )

    def amps(self, spec: Spec, site: int, siemens: float) -> float:
        """[A] through the device while it is read."""
        place = spec.sites[site]
        series_ohms = spec.series_ohms[place.row] + spec.series_ohms[spec.rows + place.column]
        return self.settings.reading.volts / (series_ohms + 1 / siemens)

    def floors(self, spec: Spec, site: int, siemens: float) -> tuple[float, float, float]:
        """[A^2/Hz] thermal, shot and the instrument's, folded into the band of these reads."""
        how, probing = self.settings, read(spec, site, self.settings.reading)
        averaged = (1 - SETTLED) * probing.duration
        densities = (
            spectrum.thermal_density(siemens, how.temperature),
            spectrum.shot_density(self.amps(spec, site, siemens)),
        )
        thermal, shot = (spectrum.sampled(one, how.period, averaged) for one in densities)
        return thermal, shot, 2 * how.period * spec.noise_amps**2

    def _floors(self, spec: Spec, site: int, seen: Series, found: spectrum.Flicker) -> dict[str, float | str]:
        thermal, shot, instrument = self.floors(spec, site, 1 / seen.ohms)
        white = found.white * self.amps(spec, site, 1 / seen.ohms) ** 2
        return {
            "thermal_amps": thermal,
            "shot_amps": shot,
            "instrument_amps": instrument,
            "limited_by": _limited_by(white, thermal, instrument, drifts=drifts(seen, found)),
        }

    def _turn(self, spec: Spec, site: int) -> list[Pulse]:
        """A read and what follows until the next."""
        probing, period = read(spec, site, self.settings.reading), self.settings.period
        gap = period - probing.duration
        if gap < spec.shortest_pulse:
            return [probing]
        if period > min(spec.sites[site].limits.seconds, spec.longest_pulse):
            count = math.ceil(gap / spec.longest_pulse)
            return [probing, *[wait(spec, gap / count)] * count]
        wave = level(spec, self.settings.reading.volts, probing.duration)
        held = Wave(np.append(wave.seconds, period), np.append(wave.volts, 0.0))
        return [probe(spec, site, held, Purpose.READ)]


class Series(NamedTuple):
    """ln R of reads at a fixed period."""

    seconds: Floats
    """[s], shape (reads,)."""
    values: Floats
    """ln R less its mean, shape (reads,)."""
    period: float
    """[s] mean."""
    ohms: float
    """exp of the mean of ln R."""


def series(rows: Sequence[Row], period: float) -> Series:
    """The reads that found the device; `period` [s] where there are too few to tell it."""
    seconds, siemens = column(rows, "seconds"), column(rows, "siemens")
    seconds, siemens = seconds[siemens > 0], siemens[siemens > 0]
    values = -np.log(siemens)
    mean = float(values.mean()) if len(values) else math.nan
    if len(seconds) > 1:
        period = float(seconds[-1] - seconds[0]) / (len(seconds) - 1)
    return Series(seconds, values - mean, period, math.exp(mean))


def straight_part(seen: Series) -> float:
    """Of the variance of ln R that a straight drift explains: 0 to 1, NaN where there is no variance."""
    whole = float(np.var(seen.values))
    left = float(np.var(spectrum.straightened(seen.values)))
    return 1 - min(left / whole, 1.0) if whole > 0 else math.nan


def drifts(seen: Series, found: spectrum.Flicker) -> bool:
    """Whether most of what changes is no noise but a drift, straight or not."""
    return found.drifts or straight_part(seen) > MOSTLY


def _limited_by(white: float, thermal: float, instrument: float, *, drifts: bool) -> str:
    """What the white noise [A^2/Hz] is; beside a drift, below the thermal noise, it is arithmetic."""
    if drifts and not white > thermal:
        return "none: it drifts, and no noise is seen beside it"
    if white > EVIDENT * instrument:
        return "the device"
    return "the instrument" if white > 0 else "none: no noise at all"


def _open(rows: Sequence[Row], most: int) -> bool:
    """Whether a whole first list found no device."""
    return len(rows) >= most and not any(float(row["siemens"]) > 0 for row in rows[:most])


def _in_time(seen: Series) -> dict[str, float | str]:
    """Spread, drift and Allan deviation."""
    steps, periods = np.diff(seen.values), np.diff(seen.seconds)
    found = spectrum.allan(seen.values, seen.period)
    floor, tau = found.floor
    sd: Interval = bootstrap(seen.values, spread)
    return {
        **with_interval("sd", sd),
        "step_sd": math.sqrt(float(np.mean(steps**2)) / 2),
        "drift": line(seen.seconds, seen.values).slope,
        "drift_part": straight_part(seen),
        "jitter": float(np.abs(periods / seen.period - 1).max()),
        "allan_slope": found.slope(late=False).slope,
        "allan_slope_late": found.slope(late=True).slope,
        "allan_floor": floor,
        "allan_floor_seconds": tau,
    }


def _spectral(found: spectrum.Flicker, amps: float) -> dict[str, float | str]:
    return {
        "exponent": found.exponent,
        "exponent_error": found.exponent_error,
        "flicker": found.at_1_hertz,
        "flicker_amps": found.at_1_hertz * amps**2,
        "white": found.white,
        "white_amps": found.white * amps**2,
        "corner": found.corner,
    }


def _levels(seen: Series) -> dict[str, float | str]:
    found = telegraph(seen.values, seen.period)
    shown = found if found.found else NONE
    return {
        "telegraph": "yes" if found.found else f"no: {found.reason}",
        "telegraph_step": shown.high - shown.low,
        "seconds_low": shown.seconds_low,
        "seconds_high": shown.seconds_high,
    }
