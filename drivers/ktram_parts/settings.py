"""What a bench file says of a kT-RAM server, and the board that it makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from labctl.config import PositiveSeconds, Quantity, Section, Siemens
from labctl.layouts import WINDOWS
from labctl.parts import Shapes, Site
from labctl.site_limits import SiteLimits
from labctl.spec import Spec

SHORTEST, LONGEST = 2.5e-6, 500e-6
"""[s]"""
HIGHEST = 5.0
"""[V]"""
LONGEST_WAIT = 100.0
_EDGE = 0.1 * LONGEST
"""[s] Slopes are replaced by a step in their middle; there is no shorter one that the server documents."""
Electrodes = Annotated[int, Field(ge=2, le=32)]


class KtRamServerSettings(Section):
    """The `[board]` table of a bench file."""

    address: str
    """https://SERVER:4242/kt-ram-server"""
    login: str = "LABCTL_KTRAM_LOGIN"
    """The environment variable that holds NAME:PASSWORD."""
    certificate: str | None = None
    """File (PEM) of the authority that signed the server's certificate; None: those of this machine."""
    module: Annotated[int, Field(ge=0, le=5)]
    unit: Annotated[int, Field(ge=0, le=1)] = 0
    array: Annotated[int, Field(ge=0, le=15)] = 0
    top: Electrodes
    """Top electrodes, which the server calls columns: rows here."""
    bottom: Electrodes
    """Bottom electrodes, which the server calls rows: columns here."""
    serial: int | None = None
    """Serial number that the module must have; None: any."""
    dopant: str = "W"
    series: Annotated[float, Quantity("ohm", least=100, most=50e3)] = 20e3
    gain: Annotated[float, Field(ge=1, le=50)] = 30.0
    """Of the sense amplifier, as in the calibration profile."""
    deadline: PositiveSeconds = 10.0
    """For one question."""
    window: tuple[Siemens, Siemens] | None = None
    limits: SiteLimits


def spec_of(settings: KtRamServerSettings) -> Spec:
    """The board that these settings describe."""
    rows, columns, limits = settings.top, settings.bottom, settings.limits.limits()
    limits = replace(limits, seconds=min(limits.seconds, LONGEST))
    sites = tuple(
        Site(row, column, settings.dopant, limits=limits) for row in range(rows) for column in range(columns)
    )
    return Spec(
        name="ktram-server",
        rows=rows,
        columns=columns,
        sites=sites,
        series_ohms=(*[settings.series] * rows, *[0.0] * columns),
        source_volts=HIGHEST,
        shortest_pulse=SHORTEST,
        longest_pulse=LONGEST_WAIT,
        shapes=Shapes.STEPS,
        edge_seconds=_EDGE,
        isolating=False,
        shared_sources=(tuple(range(rows)),),
        grounded=tuple(range(rows, rows + columns)),
        sensed=tuple(range(rows)),
        window=settings.window or WINDOWS.get(settings.dopant),
        noise_floor_amps=1e-9,
        link_seconds=50e-3,
        accuracy=0.05,
    )
