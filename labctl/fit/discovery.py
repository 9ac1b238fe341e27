"""What Knowm's Memristor Discovery writes when a chart is exported.

"Export As…" makes one file a series, named like the series, two columns x and y, no header (XChart's
`CSVExporter`). The *Capture* chart of the apps Hysteresis, DC and Pulse gives `V1.csv` (scope channel
1: the source, across resistor and memristor) and `V2.csv` (channel 2: the series resistor), over time
in seconds (Hysteresis) or microseconds (DC, Pulse). The *I-V* chart gives `iv.csv`: volts of the
memristor and microamps, without time. (Source: https://github.com/knowm/memristor-discovery, classes
`PlotPanel` and `PlotController` of each app, and its help pages.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from labctl.errors import BadData
from labctl.fit.columns import Role, Units, factor
from labctl.fit.delimited import Numbers, read_numbers
from labctl.pulse import Floats

LONGEST_SECONDS = 600.0
"""[s] No capture is longer: a greater time is one in microseconds."""


def is_capture(folder: Path) -> bool:
    """Whether a folder holds an exported capture chart."""
    return all((folder / name).is_file() for name in ("V1.csv", "V2.csv"))


def is_part_of_capture(path: Path) -> bool:
    """Whether a file is one half of one."""
    return path.name in ("V1.csv", "V2.csv") and is_capture(path.parent)


def is_iv(table: Numbers) -> bool:
    """Whether this is an exported I-V chart."""
    return table.path.name.lower() == "iv.csv" and not table.headers and table.values.shape[1] == 2


def capture(folder: Path) -> tuple[Mapping[Role, Floats], Numbers]:
    """Time, source volts and resistor volts of both files together."""
    one, two = (read_numbers(folder / name) for name in ("V1.csv", "V2.csv"))
    for table in (one, two):
        if table.values.shape[1] != 2:
            raise BadData(f"{table.path} has {table.values.shape[1]} columns", allowed="time and volts")
    common, first, second = np.intersect1d(one.values[:, 0], two.values[:, 0], return_indices=True)
    if len(common) < 0.9 * max(len(one.values), len(two.values)):
        raise BadData(f"{folder}: V1.csv and V2.csv are not of one capture: their times differ")
    micro = float(np.ptp(common)) > LONGEST_SECONDS
    columns = {
        Role.TIME: common * (1e-6 if micro else 1.0),
        Role.SOURCE: one.values[first, 1],
        Role.RESISTOR: two.values[second, 1],
    }
    values = np.column_stack(list(columns.values()))
    bad = one.bad + two.bad
    return columns, replace(one, values=values, places=first.astype(np.float64), bad=bad)


def iv(table: Numbers, units: Units) -> tuple[Mapping[Role, Floats], Numbers]:
    """Device volts and amps of an I-V chart."""
    amps = table.values[:, 1] * factor(table.path, Role.AMPS, units.current or "uA")
    volts = table.values[:, 0] * factor(table.path, Role.VOLTS, units.voltage)
    return {Role.DEVICE: volts, Role.AMPS: amps}, table


def cycles(columns: Mapping[Role, Floats]) -> int:
    """How many cycles a recording without time has: rising passages through the middle of its voltage."""
    volts = next(columns[r] for r in (Role.SOURCE, Role.VOLTS, Role.DEVICE) if r in columns)
    middle, half = float(volts.max() + volts.min()) / 2, float(np.ptp(volts)) / 2
    level = np.where(volts > middle + 0.2 * half, 1, np.where(volts < middle - 0.2 * half, -1, 0))
    clear = level[level != 0]
    falls = int(np.count_nonzero((clear[:-1] > 0) & (clear[1:] < 0)))
    return max(falls, 1)
