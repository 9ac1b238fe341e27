"""What a step of training costs a layer that knows its crossbar, against the same step of a plain layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.table import Table, ratio, told
from labctl.aware.technology import Technology

if TYPE_CHECKING:
    from torch import Tensor, nn

ENDS = {"source": 10.0, "neuron": 10.0}
"""[ohm] 1e-3 of Ron each."""
LAYERS = ((784, 500, False), (4096, 512, True))
"""Inputs, outputs, and whether there are layers before it, that want its gradient."""
BATCHES = (64, 128, 256)
KINDS: dict[str, tuple[dict[str, object], int | None]] = {
    "pairs": ({}, None),
    "reference": ({"weights": "reference"}, None),
    "pairs, exact each step": ({}, 1),
    "pairs, new chip each step": ({"variation": 0.1}, None),
}
"""Beyond the ends, what the technology has, and after how many steps the small part is renewed."""


def steps() -> Table:
    """Forward, backward, Adam: held as in training, exact in every step, and with devices drawn in each."""
    rows = [
        (
            f"{inputs} x {outputs}",
            kind,
            str(batch),
            *_against_plain(inputs, outputs, inner, batch, *KINDS[kind]),
        )
        for inputs, outputs, inner in LAYERS
        for kind in KINDS
        for batch in (BATCHES if kind == "pairs" else BATCHES[:1])
    ]
    head = ("layer", "kind", "batch", "aware", "plain", "of plain")
    return Table(
        "a step of training, aware of Rs = Rn = 1e-3 Ron, against a plain layer's", head, tuple(rows)
    )


def _against_plain(
    inputs: int, outputs: int, inner: bool, batch: int, part: dict[str, object], refresh: int | None
) -> tuple[str, str, str]:
    import torch

    from labctl.aware import layers
    from labctl.aware.crossbar import REFRESH

    torch.manual_seed(0)
    technology = Technology.model_validate({**ENDS, **part})
    aware = layers.CrossbarLinear(inputs, outputs, technology)
    aware.refresh = refresh or REFRESH
    plain = torch.nn.Linear(inputs, outputs)
    given = torch.rand(batch, inputs, requires_grad=inner), torch.randn(batch, outputs) * 1e-3
    many = 1 if refresh == 1 else REFRESH  # so that a run has its share of what is renewed
    one, other, over = ratio(_steps(aware.train(), *given, many), _steps(plain, *given, many), runs=5)
    return told(one / many), told(other / many), f"{over:.2f}"


def _steps(layer: nn.Module, given: Tensor, upstream: Tensor, many: int) -> Callable[[], None]:
    import torch

    from labctl.aware.layers import project

    optimiser = torch.optim.Adam(layer.parameters(), 1e-3, fused=True)

    def work() -> None:
        for _ in range(many):
            optimiser.zero_grad()
            layer(given).backward(upstream)
            optimiser.step()
            project(layer)

    return work
