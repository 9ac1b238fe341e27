"""Recordings of devices that are known, for the tests of fitting."""

from pathlib import Path

import numpy as np

from labctl.fit.recording import Recording
from labctl.pulse import Floats
from sim_backend.devices.metastable import MODEL
from sim_backend.devices.parameters import load
from sim_backend.loop_kernel import simulated

SERIES = 5110.0


def device_values(dopant: str = "Cr") -> dict[str, float]:
    """The shipped metastable switch: few parameters, fast."""
    return dict(load(dopant, "metastable").values)


def loop(
    volts: float = 1.0,
    hertz: float = 10.0,
    cycles: int = 3,
    samples: int = 200,
    noise: float = 0.0,
    values: dict[str, float] | None = None,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Seconds, source volts and amps of sine loops of such a device behind `SERIES`, from x = 0.02."""
    seconds = np.arange(cycles * samples) / (hertz * samples)
    source = volts * np.sin(2 * np.pi * hertz * seconds)
    row = MODEL.row(values or device_values())
    amps, _ = simulated(seconds, source, 0.0, SERIES, row, 0.02, 0.02)
    return seconds, source, amps + noise * np.random.default_rng(seed).standard_normal(len(amps))


def recording(name: str = "loop", **how: float | dict[str, float]) -> Recording:
    """The same as a recording."""
    return Recording(name, *loop(**how), SERIES)  # pyright: ignore[reportArgumentType]


def table(header: str, *columns: Floats, separator: str = ",", comma: bool = False) -> str:
    """Text of columns under a header."""
    rows = [separator.join(f"{value:.9g}" for value in row) for row in np.column_stack(columns)]
    text = "\n".join(rows)
    return (f"{header}\n" if header else "") + (text.replace(".", ",") if comma else text) + "\n"


def written(path: Path, text: str) -> Path:
    """The text as a file."""
    path.write_text(text, encoding="utf-8")
    return path
