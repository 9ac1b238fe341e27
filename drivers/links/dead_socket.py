"""The port at which an instrument is made to forget clients that died without saying so.

A raw socket of an instrument has one client. One whose machine lost its power never closes it, and the next
one is turned away until somebody switches the instrument off and on. Keithley's instruments with a LAN
have a port against that: who connects to it and leaves again ends every connection to the instrument. It
takes no commands, and whatever the outputs are, they stay (Keithley, "Models 707B and 708B Switching Matrix
Reference Manual", 707B-901-01, "Dead socket connections"). Tried on emulators only.
"""

from __future__ import annotations

from drivers.links import connect
from drivers.links.tcp import TcpLink
from labctl.errors import Refused
from labctl.ownership import Holding

KEITHLEY = 5030
"""[not verified] for the 2450 and the 2600B, whose manuals name the same ports."""


def end_links(address: str, port: int | None, name: str, seconds: float) -> str:
    """End all connections to the instrument at `address`, through its `port`; None: it has no such port.

    Says what was done. Raises `Refused` where there is no way to, `InUse` where a living program of this
    machine has the instrument, and `Unavailable` where nobody answers at that port.
    """
    link = connect(address, seconds=seconds)
    if port is None or not isinstance(link, TcpLink):
        raise Refused(
            f"{name} at {address} cannot be freed over its link",
            allowed="an instrument with a port for it (Keithley's with a LAN), at tcp://HOST:PORT",
            todo="switch it off and on, or unplug its cable; devices first, if its output is on",
        )
    with Holding(address, "to free it"):
        ending = connect(f"{address.rpartition(':')[0]}:{port}", seconds=seconds)
        try:
            ending.open()
        finally:
            ending.close()
    return f"{name} at {address}: every connection to it was ended"
