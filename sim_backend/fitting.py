"""Every device model as a candidate for a fit: its parameters as unknowns, its kernels as predictions.

`labctl.fit` finds `candidates` by the name of this module. A start with parameters at 0 that a model
allows to be 0 (a term switched off) keeps them there: which terms a device needs is a choice that its
shipped set has made, and a fit to one device's data rarely has the data to make another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from labctl.errors import Refused
from labctl.fit.candidate import Candidate, Start, Unknown
from labctl.fit.excerpts import Excerpt
from labctl.pulse import Floats
from sim_backend.devices import parameters
from sim_backend.devices.model import Model, Parameter
from sim_backend.devices.models import MODELS
from sim_backend.loop_kernel import simulated

CAP = 0.02
"""Part of its way by which the state moves in one step: currents within 1e-8 in NMSE of RODAS4."""
BEGIN = 0.02
"""State from which a repeated drive is followed to its periodic state."""
DOPANTS = ("W", "Sn", "Cr", "C")

_RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "sdc": {
        "gon": (1e-6, 5e-2), "bend": (0.0, 15.0), "gleak": (1e-9, 1e-3), "curve": (0.0, 15.0),
        "tau": (1e-7, 1e-2), "von": (-0.2, 1.0), "width_on": (4e-3, 0.3), "power_on": (-6.0, 6.0),
        "shift_on": (-1.0, 1.0), "voff": (-0.3, 1.0), "width_off": (4e-3, 0.6), "shift_off": (-1.0, 1.0),
    },
    "metastable": {
        "ron": (10.0, 1e6), "roff": (100.0, 1e9), "von": (0.0, 1.0), "voff": (-0.1, 1.0),
        "tau": (1e-7, 1e-1), "vt": (5e-3, 0.2),
    },
}  # fmt: skip
"""Where a fit looks; narrower than what a parameter file may say."""
_NEVER_FREE = frozenset({"hold"})
_EXPERIMENTS = (
    (("tau",), "faster drives (100 Hz and above) at amplitudes that switch fully"),
    (("off",), "drives with larger negative amplitudes, at two frequencies or more"),
    (("on", "nucleus"), "drives at two amplitudes and two frequencies or more"),
    (
        ("leak", "curve", "fade", "roff", "bend", "phi"),
        "a sweep in the high-resistance state on a more sensitive current range",
    ),
)


class ModelCandidate(Candidate):
    """One model of `sim_backend.devices`."""

    def __init__(self, model: Model, dopant: str | None = None) -> None:
        self.model, self.name, self.title = model, model.name, model.title
        order = [dopant] if dopant else list(DOPANTS)
        others = [other for other in DOPANTS if other not in order]
        self._devices = {name: parameters.load(name, model.name) for name in order + others}
        first = self._devices[order[0]]
        self.unknowns = tuple(_unknown(model, one, first.values[one.name]) for one in model.parameters)
        self._dopant = dopant

    def currents(self, values: Floats, part: Excerpt, state: float | None) -> Floats:
        row = self.model.row(dict(zip(self.model.names, values, strict=True)))
        period, begin = (part.period, BEGIN) if state is None else (0.0, state)
        amps, _ = simulated(
            part.seconds, part.volts, period, part.series_ohms, row, begin, CAP, part.response_seconds
        )
        return amps

    def starts(self) -> Sequence[Start]:
        """The dopant's own set, and the others' values in its structure; without a dopant all as they are."""
        starts = [self._start(name, device) for name, device in self._devices.items()]
        if self._dopant is None:
            return starts
        own = starts[0]
        shared = [name in own.free for name in self.model.names]
        return [own] + [
            Start(one.name, np.where(shared & (one.values != 0), one.values, own.values), own.free)
            for one in starts[1:]
        ]

    def read_start(self, path: str) -> Start:
        device = parameters.load(path)
        if device.model.name != self.model.name:
            raise Refused(
                f"{path} has the parameters of the model {device.model.name}", allowed=f"of {self.model.name}"
            )
        return self._start(path, device)

    def _start(self, name: str, device: parameters.Device) -> Start:
        values = np.array([device.values[one] for one in self.model.names])
        free = [
            one.name
            for one, value in zip(self.model.parameters, values, strict=True)
            if one.name not in _NEVER_FREE and not (value == 0.0 and one.default == 0.0)
        ]
        if self.model.name == "metastable" and device.values["phi"] == 1.0:
            free = [one for one in free if one not in ("phi", "af", "bf", "ar", "br")]
        return Start(name, values, frozenset(free))

    def file_text(self, values: Floats, about: Mapping[str, str], intervals: Sequence[str]) -> str:
        lines = [f"# {key}: {_plain(text)}" for key, text in about.items() if key not in ("dopant", "source")]
        lines += [f'model = "{self.model.name}"', f'dopant = "{_plain(about.get("dopant", "unknown"))}"']
        lines += [f'source = "{_plain(about.get("source", "labctl fit"))}"', "", "[parameters]"]
        for one, value, interval in zip(self.model.parameters, values, intervals, strict=True):
            unit = f" [{one.unit}]" if one.unit else ""
            lines.append(f"{one.name} = {float(value)!r}  # {one.meaning}{unit}; {interval}")
        return "\n".join(lines) + "\n"


def candidates(dopant: str | None = None) -> dict[str, Candidate]:
    """By the name of the model; a `dopant` says whose shipped sets are the first start."""
    if dopant is not None and dopant not in DOPANTS:
        raise Refused(f"no shipped parameters of a dopant {dopant!r}", allowed=", ".join(DOPANTS))
    return {name: ModelCandidate(model, dopant) for name, model in MODELS.items()}


def _unknown(model: Model, one: Parameter, start: float) -> Unknown:
    low, high = _RANGES.get(model.name, {}).get(one.name, (one.low, one.high))
    logarithmic = one.logarithmic or (low > 0 and high / low > 30)
    experiment = next((text for names, text in _EXPERIMENTS if any(name in one.name for name in names)), "")
    return Unknown(one.name, one.unit, one.meaning, start, low, high, logarithmic, experiment)


def _plain(text: str) -> str:
    """Text that can stand in a TOML string."""
    return "".join(c if c.isprintable() and c not in '"\\' else "'" for c in text)
