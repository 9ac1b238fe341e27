"""How near the quick effective matrix of a wired crossbar is to the exact one, and what each costs.

The table of docs/reference/aware-approximations.md. Devices are pairs, 10 to 100 kohm, with weights as
training leaves them (normal, wider on some rows than on others) and 10 % of variation. An error is the
largest difference from the exact output over 50 inputs (grey, or black and white with one in five on) and all
columns, relative to the largest exact output; that of the pairs is relative to the largest difference.
"""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.table import Table, seconds, told
from labctl.pulse import Floats

ON = 10e3
"""[ohm] Ron."""
SIZES = (64, 128, 256, 512)
ENDS = (1e-4, 1e-3, 1e-2)
WIRES = (1e-5, 1e-4, 1e-3)
MODES = (2, 4, 6, 8)


def wires() -> Table:
    """Errors for sizes, ends and wires relative to Ron, and times; minutes."""
    rows = tuple(compared(size, size, end, wire) for size, end, wire in itertools.product(SIZES, ENDS, WIRES))
    head = ("array", "Rs, Rn / Ron", "wire / Ron", "mean attenuation", "direct way alone")
    modes = tuple(f"{count} modes" for count in MODES)
    return Table("Wires: error of the quick effective matrix", (*head, *modes, "pairs, 4 modes"), rows)


def compared(rows: int, columns: int, end: float, wire: float) -> tuple[str, ...]:
    """One row of the table, for ends and wires relative to Ron; the exact matrix takes the time."""
    import torch

    from labctl.aware.wires import effective_with_wires
    from sim_backend.crossbar.array import Crossbar
    from sim_backend.crossbar.factored import Factored

    siemens, volts = devices(rows, columns), inputs(rows)
    exact = volts @ Factored(Crossbar(siemens, end * ON, end * ON, wire * ON, wire * ON)).effective
    there = torch.tensor(siemens)
    quick = [
        volts @ effective_with_wires(there, end * ON, end * ON, wire * ON, modes=count).numpy()
        for count in (0, *MODES)
    ]
    kept = exact.sum() / (volts @ siemens).sum()
    pairs = [each[:, 0::2] - each[:, 1::2] for each in (quick[1 + MODES.index(4)], exact)]
    errors = [_error(each, exact) for each in quick] + [_error(*pairs)]
    return (
        f"{rows} x {columns}",
        f"{end:g}",
        f"{wire:g}",
        f"{kept:.2f}",
        *(f"{each:.1e}" for each in errors),
    )


def times() -> Table:
    """What the quick effective matrix costs, forward and with its gradient, in single precision."""
    shapes = ((64, 64), (128, 128), (256, 256), (512, 512), (784, 1000), (4096, 1024))
    return Table(
        "Wires: time of the quick effective matrix",
        ("array", "forward", "with gradient"),
        tuple((f"{rows} x {columns}", *_timed(rows, columns)) for rows, columns in shapes),
    )


def devices(rows: int, columns: int) -> Floats:
    """[S] of pairs side by side."""
    rng = np.random.default_rng(0)
    weights = np.clip(rng.normal(0, 0.25, (rows, columns // 2)) * rng.uniform(size=(rows, 1)), -1, 1)
    middle, half = 0.55 / ON, 0.45 / ON
    found = np.stack([middle + half * weights, middle - half * weights], axis=-1).reshape(rows, columns)
    return found * (1 + 0.1 * rng.standard_normal(found.shape))


def inputs(rows: int) -> Floats:
    """[V] shape (50, rows)."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.uniform(size=(25, rows)), rng.uniform(size=(25, rows)) < 0.2]).astype(float)


def _error(found: Floats, exact: Floats) -> float:
    return float(np.abs(found - exact).max() / np.abs(exact).max())


def _timed(rows: int, columns: int) -> tuple[str, str]:
    import torch

    from labctl.aware.wires import effective_with_wires

    siemens = torch.tensor(devices(rows, columns), dtype=torch.float32, requires_grad=True)
    upstream = torch.randn(rows, columns)

    def forward() -> torch.Tensor:
        return effective_with_wires(siemens, 1e-3 * ON, 1e-3 * ON, 1e-6 * ON)

    both = seconds(lambda: torch.autograd.grad(forward(), siemens, upstream))
    with torch.no_grad():
        return told(seconds(forward)), told(both)
