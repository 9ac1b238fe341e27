"""What a bench file says of an OpenMENA board, and the board that it makes of it."""

from __future__ import annotations

from drivers.openmena_parts.firmware import ADC_CODES, ADC_VOLTS, LINES, LOOK_SECONDS, ROW_CODES, Codes
from drivers.openmena_parts.steps import EDGE_SECONDS, SHORTEST_SECONDS
from labctl.config import Ohms, PositiveOhms, PositiveVolts, Section, Siemens, Volts
from labctl.errors import BadConfig
from labctl.layouts import WINDOWS
from labctl.parts import Shapes, Site
from labctl.site_limits import SiteLimits
from labctl.spec import Spec

SWITCH_OHMS = 85.0
"""[ohm] of a DG445, by the board's list of parts."""
LONGEST_SECONDS = 4.0


class OpenMenaSettings(Section):
    """The `[board]` table of a bench file."""

    address: str
    """As "serial:///dev/ttyACM0?baud=115200&boot=2.5": opening its programming port restarts a Due, which
    takes so long (`drivers.links`)."""
    dopant: str = "Cr"
    sense: PositiveOhms
    """Volts at a column's converter for each amp out of the column."""
    zero: Volts = 0.0
    """At a column's converter when nothing flows."""
    virtual_ground: PositiveVolts = 0.75
    series: Ohms = SWITCH_OHMS
    """Between a row's converter and the crossbar: its switch, and what was put in."""
    window: tuple[Siemens, Siemens] | None = None
    limits: SiteLimits


def spec_of(settings: OpenMenaSettings) -> Spec:
    """The board that these settings describe."""
    limits = settings.limits.limits()
    lsb = ADC_VOLTS / ADC_CODES / settings.sense
    return Spec(
        name="openmena",
        rows=LINES,
        columns=LINES,
        sites=tuple(
            Site(row, column, settings.dopant, limits=limits)
            for row in range(LINES)
            for column in range(LINES)
        ),
        series_ohms=(*[settings.series] * LINES, *[0.0] * LINES),
        source_volts=2.0,
        shortest_pulse=SHORTEST_SECONDS,
        longest_pulse=LONGEST_SECONDS,
        shapes=Shapes.STEPS,
        edge_seconds=EDGE_SECONDS,
        isolating=False,
        sensed=tuple(range(LINES, 2 * LINES)),
        reads_forward_only=settings.zero == 0.0,
        window=settings.window or WINDOWS.get(settings.dopant),
        noise_floor_amps=2 * lsb,
        response_seconds=LOOK_SECONDS / 12,  # whoever reads takes twelve of these
        accuracy=0.02,
    )


def refuse_out_of_reach(spec: Spec, codes: Codes) -> None:
    """Limits beyond what row and column can do together would be promises that cannot be kept."""
    limits = spec.sites[0].limits
    most = codes.row_volts(ROW_CODES - 1) - codes.column_volts(0)
    least = 2 * codes.row_volts(0)
    if not (least <= limits.low_volts and limits.high_volts <= most):
        raise BadConfig(
            f"board.limits: {limits.low_volts:.4g} V to {limits.high_volts:.4g} V across a site",
            allowed=f"{least:.4g} V to {most:.4g} V: what OpenMENA's rows and columns reach together",
        )
    if not limits.seconds >= LOOK_SECONDS:
        raise BadConfig(
            f"board.limits.longest_pulse is {limits.seconds:.4g} s",
            allowed=f"{LOOK_SECONDS:g} s or more: reading takes so long, at whatever voltage",
        )
