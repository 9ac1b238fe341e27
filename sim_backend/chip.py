"""The simulated chip: the state and the parameters of every device, and what is random about them.

A real chip keeps its state when the program ends or dies; so does this one if it is given a file:
the states live in a memory-mapped array, which outlives a killed process as the resistance of a
memristor does. Randomness is drawn by counting: the n-th pulse of a chip with a given seed sees the
same draw whether the program was restarted in between or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Floats
from sim_backend.devices.model import SCALE, SHUNT, SPEED
from sim_backend.devices.parameters import Device
from sim_backend.unrest import Coming, Restless
from sim_backend.variation import Faults, Spread, Variability, varied

__all__ = ["SHORT_SIEMENS", "Chip", "Faults", "Variability"]
_DEVICES, _CYCLES, _READS, _UNREST, _SAMPLES, _FAULTS, _BIRTH, _PULSES, _NEURONS = range(9)
_COUNT, _CLOCK, _HEAD = 1, 2, 3
"""Places in the memory, after the fingerprint."""
SHORT_SIEMENS = 0.02
"""A device that is shorted: 50 ohm, a metal bridge and its contacts [ours]."""
_PULSE = Coming(0.0)


class Chip:
    """States x (sites,) and parameters (sites, parameters) of `sites` devices of one kind."""

    def __init__(
        self, device: Device, sites: int, variability: Variability, seed: int, faults: Faults | None = None
    ) -> None:
        self._device = device
        self._variability = variability
        self._seed = seed
        self._streams = _Streams(seed)
        self._faults = faults or Faults()
        self._cycle, self._pulse = (Spread(device.model, sigmas) for sigmas in (device.cycle, device.pulse))
        self.fresh = self._made(np.tile(device.vector, (sites, 1)))
        """shape (sites, parameters): what each device is on average."""
        order = self._generator(_FAULTS, 1).permutation(sites)
        self.faults = self._faults.kinds(self._generator(_FAULTS, 0).random(sites), order)
        """What is wrong with each site: "", "low", "high", "open" or "short"."""
        self._break()
        self.parameters = self.fresh.copy()
        """shape (sites, parameters): what each device is in its present cycle."""
        self._rewritten = variability.cycle_to_cycle and bool(device.pulse)
        self._present = self.parameters.copy() if self._rewritten else self.parameters
        """The same as its last writing pulse found and left it: reads see that."""
        born = partial(self._generator, _BIRTH)
        self._restless = Restless(device.unrest, variability.unrest, sites, born)
        self._memory = self._new_memory()

    @property
    def x(self) -> Floats:
        """States, shape (sites,), changed in place by whoever integrates them."""
        return self._memory[_HEAD : _HEAD + len(self.fresh)]

    @property
    def clock(self) -> float:
        """[s] of all pulses and waits so far."""
        return float(self._memory[_CLOCK])

    def pass_time(self, seconds: float) -> None:
        """A pulse or a wait has taken so long."""
        self._memory[_CLOCK] += seconds

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
            if self._rewritten and self._written[site] >= 0:
                self._write(site, int(self._written[site]))

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

    def before(self, site: int, coming: Coming = _PULSE) -> Floats:
        """The row of parameters of this site for the pulse to come; an erasing pulse begins a new cycle."""
        return self.all_before([site], [coming])[0]

    def all_before(self, sites: Sequence[int], comings: Sequence[Coming]) -> Floats:
        """Rows (sites, parameters) of several sites for the one pulse to come, and what it is to each.

        Each site takes a number; the noise of their reads is one draw, by the number of the first.
        """
        first = int(self._memory[_COUNT])
        self._memory[_COUNT] += len(sites)
        if comings[0].writing:
            for count, (site, coming) in enumerate(zip(sites, comings, strict=True), first):
                self._written_by(site, coming, count)
        rows = self._present[sites]
        if self._variability.read_noise:
            normals = self._generator(_READS, first).standard_normal(len(sites))
            rows[:, SCALE] *= np.exp(self._device.read_noise * normals)
        if self._variability.unrest.any:
            for count, (site, coming, row) in enumerate(zip(sites, comings, rows, strict=True), first):
                self._disturb(site, coming, row, count)
        return rows

    def offsets(self, neurons: int) -> Floats:
        """[V], shape (neurons,): input offsets of the op-amps that this chip was made with."""
        return self._variability.neuron_offset * self._generator(_NEURONS, 0).standard_normal(neurons)

    def sampling(self) -> np.random.Generator:
        """For the noise of the samples of the pulse that comes next."""
        return self._generator(_SAMPLES, int(self._memory[_COUNT]))

    @property
    def steady(self) -> bool:
        """True where every pulse sees the same parameters, so that lists need not be taken apart."""
        drawn = self._variability
        return not (drawn.cycle_to_cycle or drawn.read_noise or drawn.unrest.any)

    @property
    def foreseeable(self) -> bool:
        """True where what is drawn for a pulse does not go by what the pulses before did to a device."""
        return not self._variability.unrest.any

    @property
    def _cycles(self) -> Floats:
        """Shape (sites,): number of the pulse that began the present cycle of each; -1: none yet."""
        return self._memory[_HEAD + len(self.fresh) : _HEAD + 2 * len(self.fresh)]

    @property
    def _written(self) -> Floats:
        """Shape (sites,): number of the pulse that last wrote each; -1: none yet."""
        return self._memory[_HEAD + 2 * len(self.fresh) : _HEAD + 3 * len(self.fresh)]

    def _made(self, rows: Floats) -> Floats:
        """Devices that differ, of rows (sites, parameters) that do not."""
        drawn, model = self._variability, self._device.model
        if drawn.variation is not None:
            return varied(model, rows, drawn.variation, self._generator(_DEVICES, 0))
        if drawn.device_to_device:
            shape = len(rows), len(model.parameters)
            normals = self._generator(_DEVICES, 0).standard_normal(shape)
            return Spread(model, self._device.spread)(rows, normals)
        return rows

    def _break(self) -> None:
        """Make the rows of devices that do not work."""
        for site, fault in enumerate(self.faults):
            if fault:
                self.fresh[site, SPEED] = 0.0
            if fault == "open":
                self.fresh[site, SCALE] = 0.0
            if fault == "short":
                self.fresh[site, SHUNT] = SHORT_SIEMENS

    def _written_by(self, site: int, coming: Coming, count: int) -> None:
        """A pulse that writes meets another device than the one before, and one that erases a new cycle."""
        if self._variability.cycle_to_cycle and coming.erasing:
            self._begin_cycle(site, count)
        self._written[site] = count
        if self._rewritten:
            self._write(site, count)

    def _begin_cycle(self, site: int, count: int) -> None:
        self._cycles[site] = count
        self.parameters[site] = self._cycle(self.fresh[site], self._normals(_CYCLES, count))
        if self._rewritten:
            self._present[site] = self.parameters[site]

    def _write(self, site: int, count: int) -> None:
        self._present[site] = self._pulse(self.parameters[site], self._normals(_PULSES, count))

    def _disturb(self, site: int, coming: Coming, row: Floats, count: int) -> None:
        """What has happened to this device since, and what this pulse sees of it, into its row."""
        if not self.faults[site]:
            sites = len(self.fresh)
            memory = self._memory[_HEAD + 3 * sites :].reshape(-1, sites)
            draw = self._generator(_UNREST, count)
            self._restless.befall(site, self.clock, coming, memory, self.x, row, draw)

    def _new_memory(self) -> Floats:
        """Fingerprint, pulses and seconds so far, states, cycles, writings, and what unrest needs."""
        sites = len(self.fresh)
        text = f"{self._device.text}{self._variability.text}{self._seed}{sites}{self._faults.text}"
        digest = hashlib.sha256(text.encode()).digest()
        head = [float(int.from_bytes(digest[:6])), 0.0, 0.0]
        stuck = {"low": 0.0, "high": 1.0}
        x = np.array([stuck.get(fault, self._device.initial) for fault in self.faults])
        return np.concatenate([head, x, np.full(2 * sites, -1.0), self._restless.at_birth(x).ravel()])

    def _normals(self, kind: int, count: int) -> Floats:
        """One for each parameter of the model, shape (parameters,)."""
        return self._generator(kind, count).standard_normal(len(self._device.model.parameters))

    def _generator(self, kind: int, count: int) -> np.random.Generator:
        """The stream of this kind and number, to be drawn from before the next is asked for."""
        return self._streams.at(kind, count)


class _Streams:
    """Streams of random numbers that are told apart by counting.

    To make a generator takes eight times as long as to take one elsewhere, so there is one.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=seed)
        self._generator = np.random.Generator(self._bits)
        state = cast(dict[str, Any], self._bits.state)
        self._counter = np.zeros(4, dtype=np.uint64)
        self._beginning: Any = state | {"state": state["state"] | {"counter": self._counter}}

    def at(self, kind: int, count: int) -> np.random.Generator:
        """The generator, at the beginning of this stream."""
        # a stream goes up from the low words: what tells streams apart stands in the high ones
        self._counter[2], self._counter[3] = count, kind
        self._bits.state = self._beginning
        return self._generator
