"""The emulated instruments that there are, by name, and how each is made."""

from __future__ import annotations

from labctl.errors import BadConfig
from labctl.importing import named
from sim_backend.emulators.behind.terminals import Terminals
from sim_backend.emulators.serving.instrument import Instrument
from sim_backend.emulators.serving.witness import Witness

KINDS: dict[str, str] = {
    "keithley2400": "sim_backend.emulators.keithley2400:Keithley2400",
    "keithley2450": "sim_backend.emulators.keithley2450:Keithley2450",
    "keithley2600": "sim_backend.emulators.keithley2600:Keithley2600",
    "keysight-b2900": "sim_backend.emulators.keysight_b2900:KeysightB2900",
    "keysight-34970a": "sim_backend.emulators.keysight_34970a:Keysight34970A",
    "keithley-707b": "sim_backend.emulators.keithley_707b:Keithley707B",
    "keithley-3706a": "sim_backend.emulators.keithley_707b:Keithley3706A",
    "relay-card": "sim_backend.emulators.relay_card:RelayCard",
    "openmena": "sim_backend.emulators.openmena:OpenMena",
}
"""Import path of each kind."""
SWITCH_BOXES = ("keysight-34970a", "keithley-707b", "keithley-3706a", "relay-card")
"""They drive nothing, and say which devices are reached."""
BOARDS = ("openmena",)
"""They bring their own devices."""


def known(kind: str) -> str:
    """The kind, or `BadConfig` for one that is not there."""
    if kind not in KINDS:
        raise BadConfig(f'there is no emulated "{kind}"', allowed=", ".join(KINDS))
    return kind


def make(
    kind: str,
    terminals: Terminals,
    witness: Witness | None = None,
    *,
    realtime: bool = False,
    seed: int = 0,
) -> Instrument:
    """An instrument of this kind at these terminals."""
    found = named(KINDS[known(kind)], f'the emulated "{kind}"', "an installed sim_backend")
    if kind in BOARDS:
        return found()
    if kind in SWITCH_BOXES:
        return found(terminals)
    return found(terminals, witness, realtime=realtime, seed=seed)
