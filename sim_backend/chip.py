"""The simulated chip: the state and the parameters of every device, and what is random about them.

A real chip keeps its state when the program ends or dies; so does this one if it is given a file:
the states live in a memory-mapped array, which outlives a killed process as the resistance of a
memristor does. Randomness is drawn by counting: the n-th pulse of a chip with a given seed sees the
same draw whether the program was restarted in between or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Floats
from sim_backend.devices.parameters import NAMES, Device

_DEVICES, _CYCLES, _READS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Variability:
    """Which of the device's spreads are drawn; none by default."""

    device_to_device: bool = False
    cycle_to_cycle: bool = False
    read_noise: bool = False


class Chip:
    """States x (sites,) and parameters (sites, parameters) of `sites` devices of one kind."""

    def __init__(self, device: Device, sites: int, variability: Variability, seed: int) -> None:
        self._device = device
        self._variability = variability
        self._seed = seed
        self.fresh = np.tile(device.vector, (sites, 1))
        """shape (sites, parameters): what each device is on average."""
        if variability.device_to_device:
            self.fresh *= self._draw(device.spread, _DEVICES, 0, sites)
        self.parameters = self.fresh.copy()
        """shape (sites, parameters): what each device is in its present cycle."""
        self._memory = self._new_memory()

    @property
    def x(self) -> Floats:
        """States, shape (sites,), changed in place by whoever integrates them."""
        return self._memory[2 : 2 + len(self.fresh)]

    def remember_in(self, path: Path) -> None:
        """Keep the states in this file from now on; a file of the same chip is taken up where it stands.

        Raises `BadConfig` for the file of another chip, and for a place where there can be none.
        """
        try:
            self._memory = self._mapped(path)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise BadConfig(
                f"{path} cannot be the memory of a chip: {error}",
                allowed="a file in a folder where you may write",
                todo="name another file",
            ) from error
        for site, cycle in enumerate(self._cycles):
            if cycle >= 0:
                self._begin_cycle(site, int(cycle))

    def _mapped(self, path: Path) -> Floats:
        """The file as an array, made if there is none."""
        fingerprint = self._memory[0]
        if path.exists():
            if path.stat().st_size != self._memory.nbytes or np.fromfile(path, count=1)[0] != fingerprint:
                raise BadConfig(
                    f"{path} is the memory of another chip",
                    allowed="a file of the same device, number of sites, variability and seed, or none yet",
                    todo="name another file, or remove this one for a new chip",
                )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"{path.name}.new")
            self._memory.tofile(new)
            new.replace(path)  # at once: a file that is there is whole
        return np.memmap(path, dtype=np.float64, mode="r+")

    def before(self, site: int, erasing: bool) -> Floats:
        """The row of parameters of this site for the next pulse; an erasing pulse begins a new cycle."""
        count = int(self._memory[1])
        self._memory[1] += 1
        if self._variability.cycle_to_cycle and erasing:
            self._begin_cycle(site, count)
        row = self.parameters[site].copy()
        if self._variability.read_noise:
            row[:2] *= np.exp(self._device.read_noise * self._generator(_READS, count).standard_normal())
        return row

    @property
    def steady(self) -> bool:
        """True where every pulse sees the same parameters, so that lists need not be taken apart."""
        return not (self._variability.cycle_to_cycle or self._variability.read_noise)

    @property
    def _cycles(self) -> Floats:
        """Shape (sites,): number of the pulse that began the present cycle of each; -1: none yet."""
        return self._memory[2 + len(self.fresh) :]

    def _begin_cycle(self, site: int, count: int) -> None:
        self._cycles[site] = count
        self.parameters[site] = self.fresh[site] * self._draw(self._device.cycle, _CYCLES, count, 1)[0]

    def _new_memory(self) -> Floats:
        """Fingerprint, number of pulses so far, states, cycles."""
        text = f"{self._device}{self._variability}{self._seed}{len(self.fresh)}"
        digest = hashlib.sha256(text.encode()).digest()
        sites = len(self.fresh)
        head = [float(int.from_bytes(digest[:6])), 0.0]
        return np.concatenate([head, np.full(sites, self._device.initial), np.full(sites, -1.0)])

    def _generator(self, kind: int, count: int) -> np.random.Generator:
        # a stream goes up from the low words: what tells streams apart stands in the high ones
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, count, kind]))

    def _draw(self, spreads: dict[str, float], kind: int, count: int, rows: int) -> Floats:
        """Log-normal factors (rows, parameters)."""
        sigma = np.array([spreads.get(name, 0.0) for name in NAMES])
        return np.exp(sigma * self._generator(kind, count).standard_normal((rows, len(NAMES))))
