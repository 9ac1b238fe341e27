"""The names under `smua` of an emulated 2600B, and what each reads and sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sim_backend.emulators.k2600.channel import OFF_MODES, Channel
from sim_backend.emulators.k2600.trigger import EVENTS
from sim_backend.emulators.lua.values import (
    Attribute,
    Builtin,
    LuaError,
    Part,
    Value,
    action,
    argument,
    number,
    numbers,
    whole,
)
from sim_backend.emulators.smu.model import Quantity
from sim_backend.emulators.tsp.buffers import Buffer
from sim_backend.emulators.tsp.output import PARAMETER

SIDES: tuple[tuple[str, Quantity], ...] = (("v", "volts"), ("i", "amps"))
MEASURED = ("i", "v", "r", "p", "iv")
LONGEST_DELAY = 999.9999

CONSTANTS = {
    "OUTPUT_DCAMPS": 0.0,
    "OUTPUT_DCVOLTS": 1.0,
    "OUTPUT_OFF": 0.0,
    "OUTPUT_ON": 1.0,
    "OUTPUT_NORMAL": 0.0,
    "OUTPUT_ZERO": 1.0,
    "OUTPUT_HIGH_Z": 2.0,
    "AUTORANGE_OFF": 0.0,
    "AUTORANGE_ON": 1.0,
    "AUTOZERO_OFF": 0.0,
    "AUTOZERO_ONCE": 1.0,
    "AUTOZERO_AUTO": 2.0,
    "SENSE_LOCAL": 0.0,
    "SENSE_REMOTE": 1.0,
    "FILTER_OFF": 0.0,
    "FILTER_ON": 1.0,
    "DELAY_OFF": 0.0,
    "DELAY_AUTO": -1.0,
    "DISABLE": 0.0,
    "ENABLE": 1.0,
    "SOURCE_IDLE": 0.0,
    "SOURCE_HOLD": 1.0,
    "LIMIT_AUTO": -1.0,
}

Attributes = dict[str, Attribute | Value]


def parts(channel: Channel) -> Part:
    """`smua`."""
    found: Attributes = {
        **CONSTANTS,
        "source": Part("smua.source", _source(channel)),
        "measure": Part("smua.measure", _measure(channel)),
        "trigger": Part("smua.trigger", _trigger(channel)),
        "sense": Attribute(lambda: float(channel.smu.modes.four_wire), channel.set_sense),
        "nvbuffer1": channel.buffers[0],
        "nvbuffer2": channel.buffers[1],
        "makebuffer": lambda given: [Buffer("buffer", whole(argument(given, 0), "makebuffer"))],
        "reset": action(channel.deliver),
        "abort": action(channel.halt),
    }
    return Part("smua", found)


def _source(channel: Channel) -> Attributes:
    smu = channel.smu
    found: Attributes = {
        "func": Attribute(lambda: float(smu.function == "volts"), channel.set_function),
        "output": Attribute(lambda: float(smu.output), channel.switch),
        "offmode": Attribute(lambda: float(OFF_MODES.index(smu.modes.off_mode)), channel.set_off_mode),
        "delay": _within(channel, "source_delay", LONGEST_DELAY),
        "compliance": Attribute(smu.tripped),
    }
    for letter, quantity in SIDES:
        found[f"level{letter}"] = _real(partial(smu.level, quantity), partial(channel.set_level, quantity))
        found[f"range{letter}"] = _real(
            partial(smu.source_range, quantity), partial(smu.set_source_range, quantity)
        )
        found[f"autorange{letter}"] = _switch(
            partial(smu.source_auto, quantity), partial(smu.set_source_auto, quantity)
        )
        found[f"limit{letter}"] = _real(partial(smu.limit, quantity), partial(smu.set_limit, quantity))
    kept = ("highc", "settling", "sink", "offlimiti", "offlimitv", "offfunc", "outputenableaction", "limitp")
    return found | {name: _kept(channel, name) for name in kept}


def _measure(channel: Channel) -> Attributes:
    smu = channel.smu
    kept = ("filter.enable", "filter.count", "filter.type")
    filters: Attributes = {name.partition(".")[2]: _kept(channel, name) for name in kept}
    found: Attributes = {
        "nplc": _real(partial(smu.cycles, "amps"), channel.set_cycles),
        "delay": _within(channel, "measure_delay", LONGEST_DELAY),
        "filter": Part("smua.measure.filter", filters),
    }
    for letter, quantity in SIDES:
        found[f"range{letter}"] = _real(
            partial(smu.sense_range, quantity), partial(smu.set_sense_range, quantity)
        )
        found[f"autorange{letter}"] = _switch(
            partial(smu.sense_auto, quantity), partial(smu.set_sense_auto, quantity)
        )
    found |= {letters: partial(channel.measure, letters) for letters in MEASURED}
    return found | {name: _kept(channel, name) for name in ("count", "interval", "autozero", "delayfactor")}


def _trigger(channel: Channel) -> Attributes:
    arm: Attributes = {"count": _count(channel, "arms"), "stimulus": _stimulus(channel, "arm")}
    pulse: Attributes = {
        "action": _choice(channel, "holds_after_pulse"),
        "stimulus": _stimulus(channel, "endpulse"),
    }
    events: Attributes = {name: float(number) for name, number in EVENTS.items()}
    return events | {
        "count": _count(channel, "count"),
        "autoclear": _kept(channel, "autoclear"),
        "initiate": action(channel.initiate),
        "arm": Part("smua.trigger.arm", arm),
        "source": Part("smua.trigger.source", _trigger_source(channel)),
        "measure": Part("smua.trigger.measure", _trigger_measure(channel)),
        "endpulse": Part("smua.trigger.endpulse", pulse),
        "endsweep": Part("smua.trigger.endsweep", {"action": _choice(channel, "holds_after_sweep")}),
    }


def _trigger_source(channel: Channel) -> Attributes:
    found: Attributes = {
        "action": _choice(channel, "sources"),
        "stimulus": _stimulus(channel, "source"),
    }
    for letter, quantity in SIDES:
        found[f"list{letter}"] = partial(_list, channel, quantity)
        found[f"linear{letter}"] = partial(_linear, channel, quantity)
        found[f"limit{letter}"] = Attribute(
            partial(channel.trigger_limit_of, quantity), partial(channel.set_trigger_limit, quantity)
        )
    return found


def _trigger_measure(channel: Channel) -> Attributes:
    def keep(letters: str) -> Builtin:
        def call(given: list[Value]) -> list[Value]:
            channel.keep(letters, given)
            return []

        return call

    found: Attributes = {
        "action": _choice(channel, "measures"),
        "stimulus": _stimulus(channel, "measure"),
    }
    return found | {letters: keep(letters) for letters in MEASURED}


def _list(channel: Channel, quantity: Quantity, given: list[Value]) -> list[Value]:
    channel.sweep(quantity, numbers(argument(given, 0), "list"))
    return []


def _linear(channel: Channel, quantity: Quantity, given: list[Value]) -> list[Value]:
    start, stop, points = (number(argument(given, place), "sweep") for place in range(3))
    if not 1 <= points <= 100_000:
        raise LuaError("Parameter, points, out of range", PARAMETER)
    step = (stop - start) / max(points - 1, 1)
    channel.sweep(quantity, [start + step * place for place in range(int(points))])
    return []


# ---- kinds of attributes ----------------------------------------------------------------------


def _real(get: Callable[[], float], put: Callable[[float], None]) -> Attribute:
    def to(value: Value) -> None:
        put(number(value))

    return Attribute(get, to)


def _switch(get: Callable[[], bool], put: Callable[[bool], None]) -> Attribute:
    def to(value: Value) -> None:
        put(_between(value, 1) == 1)

    return Attribute(lambda: float(get()), to)


def _kept(channel: Channel, name: str) -> Attribute:
    most = 1e5 if name == "count" else 1e9

    def put(value: Value) -> None:
        found = number(value, name)
        if not (name == "count") <= abs(found) <= most:
            raise LuaError(f"Parameter, {name}, out of range", PARAMETER)
        channel.kept[name] = found

    return Attribute(lambda: channel.kept[name], put)


def _within(channel: Channel, name: str, most: float) -> Attribute:
    """A delay [s]; -1 chooses one itself, which here is none."""

    def put(value: Value) -> None:
        seconds = number(value, name)
        if not (0.0 <= seconds <= most or seconds == -1.0):
            raise LuaError(f"Parameter, {name}, out of range", PARAMETER)
        setattr(channel.plan, name, seconds)

    return Attribute(lambda: float(getattr(channel.plan, name)), put)


def _count(channel: Channel, name: str) -> Attribute:
    def put(value: Value) -> None:
        if not 1 <= whole(value, "count") <= 1_048_575:
            raise LuaError("Parameter, count, out of range", PARAMETER)
        setattr(channel.plan, name, whole(value))

    return Attribute(lambda: float(getattr(channel.plan, name)), put)


def _choice(channel: Channel, name: str) -> Attribute:
    def put(value: Value) -> None:
        setattr(channel.plan, name, _between(value, 1) == 1)

    return Attribute(lambda: float(getattr(channel.plan, name)), put)


def _stimulus(channel: Channel, step: str) -> Attribute:
    def put(value: Value) -> None:
        channel.plan.stimuli[step] = whole(value, "stimulus")

    return Attribute(lambda: float(channel.plan.stimuli[step]), put)


def _between(value: Value, most: int) -> int:
    if not 0 <= whole(value) <= most:
        raise LuaError("Parameter out of range", PARAMETER)
    return whole(value)
