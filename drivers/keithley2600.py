"""Keithley 2600B SourceMeters in TSP: 2601B, 2602B, 2604B (40 V), and 2611B to 2636B (200 V); one channel.

Follows the *Series 2600B System SourceMeter Instrument Reference Manual*, 2600BS-901-01. Tried on emulators
only.

A run is a list sweep of the trigger model. Timer 1 begins when the sweep is armed and gives an event for each
level; timer 2 begins with each level and gives one when it is time to measure, volts and amps at once, into
the channel's two buffers, with time stamps and status words. All timing is the instrument's. With `s` for the
channel:

    open     *IDN?  s.source.output  (left on: abort, s.abort(), s.source.levelv = 0, s.source.output = 0)
             errorqueue  format.asciiprecision  s.reset()  s.source.func, offmode, s.sense …, each read back
    ranges   s.source.levelv = 0  .rangev  .limiti  s.measure.rangei  s.trigger.source.limiti, each read back
    steps    s.measure.nplc  trigger.timer[1].delay  trigger.timer[2].delay, each read back
    read     s.trigger.source.listv(…) s.trigger.initiate() waitcomplete() printbuffer(…), one message
    program  s.trigger.source.listv(…) s.trigger.initiate()  status.operation.sweeping.condition  printbuffer
    off      abort  s.abort()  s.source.output = s.OUTPUT_OFF

It has nothing that switches off at compliance: the limit holds, and the status word says so (`COMPLIANCE`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from drivers.links.dead_socket import KEITHLEY
from drivers.links.transport import Transport
from drivers.source_meters.board import SourceMeterBoard
from drivers.source_meters.settings import SourceMeterSettings
from drivers.source_meters.source_meter import Reach
from drivers.source_meters.tsp_meter import TspSourceMeter

REACH_40 = Reach(
    name="Keithley 2600B (40 V)",
    models=("MODEL 2601B", "MODEL 2602B", "MODEL 2604B"),
    volts_ranges=(0.1, 1.0, 6.0),
    amps_ranges=(1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
    shortest_step=1e-3,
    longest_step=1000.0,
    most_steps=1000,
    edge_seconds=2e-4,
    noise_amps=5e-11,  # 100 nA range [not verified]
    noise_floor_amps=1e-10,  # 100 nA range: 0.06 % + 100 pA in a year [not verified]
    dead_socket_port=KEITHLEY,
    accuracy=0.01,  # 100 mV range: 0.02 % + 250 uV in a year [not verified]
)
REACH_200 = replace(
    REACH_40,
    name="Keithley 2600B (200 V)",
    models=tuple(f"MODEL {number}B" for number in (2611, 2612, 2614, 2634, 2635, 2636)),
    volts_ranges=(0.2, 2.0, 20.0),  # above 20 V it wants its interlock, and no memristor wants that
)


class Keithley2600Settings(SourceMeterSettings):
    """The `[board]` table of a bench file for a 2600B."""

    channel: Literal["a", "b"] = "a"
    """Of an instrument that has two; the other is left alone."""


class Keithley2600(SourceMeterBoard):
    """One channel of a 2611B to 2636B with a memristor, or several behind a switch box."""

    Settings = Keithley2600Settings
    reach = REACH_200

    def _language(self, link: Transport, settings: SourceMeterSettings) -> TspSourceMeter:
        channel = settings.channel if isinstance(settings, Keithley2600Settings) else "a"
        return TspSourceMeter(link, self.reach, channel, settings.line_hertz, settings.deadline)


class Keithley2600Of40Volts(Keithley2600):
    """One channel of a 2601B, 2602B or 2604B."""

    reach = REACH_40
