"""Training, epoch by epoch, with weights that the conductance window can hold and devices drawn anew.

In each step an aware layer runs on a chip that no other step had; after it, weights that left their
limits are brought back to them. Training that knows the circuit begins with one digital gain a layer, by
which an amplifier or the number behind the converter undoes the mean attenuation: currents of a tenth
would leave biases ten times too large and a loss that sees nothing. (With rectifiers between the layers
such gains are the same as smaller biases: the classes that a network without gains and with biases
divided by the gains so far gives are the same.)

Nothing is drawn from a generator that lives: order and chips of an epoch come from the seed, the kind of
training and the number of the epoch. So weights and the moments of the optimiser are all that a killed
training needs, and it goes on as if it had not been killed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labctl.aware.crossbar import REFRESH
from labctl.aware.data import Data
from labctl.aware.file import Training
from labctl.aware.layers import Awareness, calibrate, crossbars, project, set_awareness, set_draws
from labctl.aware.networks import set_weights, weights_of
from labctl.errors import BadConfig

State = Mapping[str, NDArray[Any]]


class Trainer:
    """One stage of training a network: call `epoch` until `done` is `epochs`."""

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        table: Training,
        aware: str,
        epochs: int,
        seed: int,
    ) -> None:
        """`aware` is "standard", "noise" or "technology". The weights are those that `network` has, and
        are changed in place; training that knows the circuit sets gains first."""
        self.network, self.data, self.table = network, data, table
        self.aware, self.epochs, self.seed = Awareness(aware), epochs, seed
        self.done = 0
        self._steps = math.ceil(len(data.train) / table.batch)
        self._pictures, self._labels = torch.as_tensor(data.train), torch.as_tensor(data.train_labels)
        set_awareness(network, self.aware)
        for layer in crossbars(network):
            layer.refresh = 1 if table.exact else REFRESH
        if self.aware is Awareness.TECHNOLOGY:
            calibrate(network)
        self._optimizer = _optimizer(network, table)

    def epoch(self) -> dict[str, float | int]:
        """Trains one more; its number, mean loss, and how many pictures were classified right, of how many.

        Raises `BadConfig` where the rate was too large for it.
        """
        self.network.train()
        set_draws(self.network, self._seed("chips"), self.done * self._steps)
        generator = torch.Generator().manual_seed(self._seed(f"order {self.done}"))
        order = torch.randperm(len(self._labels), generator=generator)
        losses, right = 0.0, 0
        for step, chosen in enumerate(torch.split(order, self.table.batch)):
            self._set_rate(self.done + step / self._steps)
            loss, classified = self._step(self._pictures[chosen], self._labels[chosen])
            losses, right = losses + loss * len(chosen), right + classified
        self.done += 1
        if not math.isfinite(losses):
            raise BadConfig(
                f"training diverged in epoch {self.done}: the loss is not a number",
                todo=f"make training.rate less than {self.table.rate:g}",
            )
        return {"epoch": self.done, "loss": losses / len(order), "right": right, "of": len(order)}

    def state(self) -> dict[str, NDArray[Any]]:
        """All that is needed to go on with the next epoch, as arrays."""
        found = {f"network {name}": value for name, value in weights_of(self.network).items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                if value is not None:
                    found[f"optimizer {index} {name}"] = torch.as_tensor(value).numpy().copy()
        return {**found, "done": np.array(self.done)}

    def restore(self, state: State) -> None:
        """Goes on where `state` was taken; raises `BadData` where it is of another network."""
        prefix = "network "
        learnt = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
        set_weights(self.network, learnt)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in state.items():
            if name.startswith("optimizer "):
                _, index, moment = name.split(" ", 2)
                moments.setdefault(int(index), {})[moment] = torch.as_tensor(value.copy())
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.done = int(state["done"])

    def _step(self, pictures: Tensor, labels: Tensor) -> tuple[float, int]:
        found: Tensor = self.network(pictures)
        loss = nn.functional.cross_entropy(found, labels)
        self._optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        self._optimizer.step()
        project(self.network)
        return float(loss.detach()), int((found.argmax(1) == labels).sum())

    def _set_rate(self, epochs: float) -> None:
        """From the rate of the table down to 0, as half a cosine."""
        rate = self.table.rate * (1 + math.cos(math.pi * epochs / self.epochs)) / 2
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _seed(self, what: str) -> int:
        """Of what is drawn: other kinds of training with one seed see other orders and other chips."""
        text = f"{self.seed} {self.aware} {what}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little")


def _optimizer(network: nn.Module, table: Training) -> torch.optim.Optimizer:
    if table.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), table.rate, momentum=0.9)
    return torch.optim.Adam(network.parameters(), table.rate, fused=True)  # the same steps, in one loop
