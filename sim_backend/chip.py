"""The simulated chip: the state and the parameters of every device, and what is random about them.

A real chip keeps its state when the program ends or dies; so does this one if it is given a file:
the states live in a memory-mapped array, which outlives a killed process as the resistance of a
memristor does. Randomness is drawn by counting: the n-th pulse of a chip with a given seed sees the
same draw whether the program was restarted in between or not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from labctl.errors import BadConfig
from labctl.pulse import Floats
from sim_backend.devices.model import HEAD, SCALE, SHUNT, SPEED
from sim_backend.devices.parameters import Device
from sim_backend.unrest import Coming, Kinds, Restless

_DEVICES, _CYCLES, _READS, _UNREST, _SAMPLES, _FAULTS, _BIRTH, _PULSES = range(8)
_COUNT, _CLOCK, _HEAD = 1, 2, 3
"""Places in the memory, after the fingerprint."""
SHORT_SIEMENS = 0.02
"""A device that is shorted: 50 ohm, a metal bridge and its contacts [ours]."""
_PULSE = Coming(0.0)


@dataclass(frozen=True, slots=True)
class Variability:
    """Which of the device's spreads are drawn; none by default."""

    device_to_device: bool = False
    cycle_to_cycle: bool = False
    read_noise: bool = False
    unrest: Kinds = field(default_factory=Kinds)


@dataclass(frozen=True, slots=True)
class Faults:
    """Sites that do not work: by number, and by the part of all others that is drawn to be so."""

    low: tuple[int, ...] = ()
    """Stuck in the high-resistance state (low conductance)."""
    high: tuple[int, ...] = ()
    """Stuck in the low-resistance state (high conductance)."""
    open: tuple[int, ...] = ()
    short: tuple[int, ...] = ()
    low_part: float = 0.0
    high_part: float = 0.0
    open_part: float = 0.0
    short_part: float = 0.0

    def kinds(self, uniforms: Floats) -> list[str]:
        """What each site is, shape (sites,), from a number between 0 and 1 for each: "" is a good one."""
        bounds = np.cumsum([self.low_part, self.high_part, self.open_part, self.short_part])
        names = ("low", "high", "open", "short", "")
        places = [int(np.searchsorted(bounds, float(one), side="right")) for one in uniforms]
        found = [names[place] for place in places]
        for name in names[:-1]:
            for site in getattr(self, name):
                found[site] = name
        return found


class Chip:
    """States x (sites,) and parameters (sites, parameters) of `sites` devices of one kind."""

    def __init__(
        self, device: Device, sites: int, variability: Variability, seed: int, faults: Faults | None = None
    ) -> None:
        self._device = device
        self._variability = variability
        self._seed = seed
        self._faults = faults or Faults()
        self.fresh = np.tile(device.vector, (sites, 1))
        """shape (sites, parameters): what each device is on average."""
        if variability.device_to_device:
            self.fresh = self._spread(self.fresh, device.spread, _DEVICES, 0)
        self.faults = self._faults.kinds(self._generator(_FAULTS, 0).random(sites))
        """What is wrong with each site: "", "low", "high", "open" or "short"."""
        self._break()
        self.parameters = self.fresh.copy()
        """shape (sites, parameters): what each device is in its present cycle."""
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
        count = int(self._memory[_COUNT])
        self._memory[_COUNT] += 1
        if self._variability.cycle_to_cycle and coming.erasing:
            self._begin_cycle(site, count)
        if coming.writing:
            self._written[site] = count
        row = self._present(site)
        if self._variability.read_noise:
            row[SCALE] *= np.exp(self._device.read_noise * self._generator(_READS, count).standard_normal())
        if self._variability.unrest.any and not self.faults[site]:
            sites = len(self.fresh)
            memory = self._memory[_HEAD + 3 * sites :].reshape(-1, sites)
            draw = self._generator(_UNREST, count)
            self._restless.befall(site, self.clock, coming, memory, self.x, row, draw)
        return row

    def sampling(self) -> np.random.Generator:
        """For the noise of the samples of the pulse that comes next."""
        return self._generator(_SAMPLES, int(self._memory[_COUNT]))

    @property
    def steady(self) -> bool:
        """True where every pulse sees the same parameters, so that lists need not be taken apart."""
        drawn = self._variability
        return not (drawn.cycle_to_cycle or drawn.read_noise or drawn.unrest.any)

    @property
    def _cycles(self) -> Floats:
        """Shape (sites,): number of the pulse that began the present cycle of each; -1: none yet."""
        return self._memory[_HEAD + len(self.fresh) : _HEAD + 2 * len(self.fresh)]

    @property
    def _written(self) -> Floats:
        """Shape (sites,): number of the pulse that last wrote each; -1: none yet."""
        return self._memory[_HEAD + 2 * len(self.fresh) : _HEAD + 3 * len(self.fresh)]

    def _present(self, site: int) -> Floats:
        """The row of a device as its last writing pulse found and left it: reads see the same."""
        if not (self._variability.cycle_to_cycle and self._device.pulse and self._written[site] >= 0):
            return self.parameters[site].copy()
        count = int(self._written[site])
        return self._spread(self.parameters[[site]], self._device.pulse, _PULSES, count)[0]

    def _break(self) -> None:
        """Make the rows of devices that do not work."""
        for site, fault in enumerate(self.faults):
            if fault:
                self.fresh[site, SPEED] = 0.0
            if fault == "open":
                self.fresh[site, SCALE] = 0.0
            if fault == "short":
                self.fresh[site, SHUNT] = SHORT_SIEMENS

    def _begin_cycle(self, site: int, count: int) -> None:
        self._cycles[site] = count
        self.parameters[site] = self._spread(self.fresh[[site]], self._device.cycle, _CYCLES, count)[0]

    def _new_memory(self) -> Floats:
        """Fingerprint, pulses and seconds so far, states, cycles, writings, and what unrest needs."""
        sites = len(self.fresh)
        text = f"{self._device.text}{self._variability}{self._seed}{sites}{self._faults}"
        digest = hashlib.sha256(text.encode()).digest()
        head = [float(int.from_bytes(digest[:6])), 0.0, 0.0]
        stuck = {"low": 0.0, "high": 1.0}
        x = np.array([stuck.get(fault, self._device.initial) for fault in self.faults])
        return np.concatenate([head, x, np.full(2 * sites, -1.0), self._restless.at_birth(x).ravel()])

    def _generator(self, kind: int, count: int) -> np.random.Generator:
        # a stream goes up from the low words: what tells streams apart stands in the high ones
        return np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, count, kind]))

    def _spread(self, rows: Floats, spreads: dict[str, float], kind: int, count: int) -> Floats:
        """These rows (sites, head + parameters) with what their parameters differ by: log-normal or added."""
        parameters = self._device.model.parameters
        sigma = np.array([spreads.get(one.name, 0.0) for one in parameters])
        drawn = sigma * self._generator(kind, count).standard_normal((len(rows), len(parameters)))
        added = np.array([one.additive for one in parameters])
        spread = rows.copy()
        spread[:, HEAD:] = np.where(added, rows[:, HEAD:] + drawn, rows[:, HEAD:] * np.exp(drawn))
        return spread
