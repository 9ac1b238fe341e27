"""From an address in a bench file to a link.

The grammar::

    tcp://HOST:PORT                            a raw socket: tcp://192.168.0.7:5025, tcp://[::1]:5025
    serial://PORT[?baud=BAUD][&boot=SECONDS]   serial:///dev/ttyUSB0?baud=115200, serial://COM3
    replay:FILE                                a recorded session
    anything else                              a VISA resource: GPIB0::24::INSTR, USB0::…::INSTR@ivi

A serial port runs at 9600 baud unless its address says otherwise; `boot` is for boards that start anew
when their port is opened, and want to be left alone for so long.
"""

from __future__ import annotations

import re
from pathlib import Path

from drivers.links.transport import Transport
from labctl.errors import BadConfig
from labctl.quantity import quoted

_TCP = re.compile(r"tcp://(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_SERIAL = re.compile(r"serial://([^?\s]+)(?:\?(.*))?")
_OPTION = re.compile(r"(?:baud=([1-9][0-9]{1,7})|boot=([0-9]{1,2}(?:\.[0-9]{1,3})?))")


def connect(address: str, *, seconds: float = 2.0, record: str | None = None) -> Transport:
    """The link that the address names, closed; it opens when it is first used, or by `open()`.

    Every call over it ends within `seconds`, unless it is given a time of its own. `record` names a new
    file that gets all that is sent and received. Raises `BadConfig` for an address that is none, and
    `Unavailable` for a library or a recording that is missing.
    """
    link = _link(address, seconds)
    if record is None:
        return link
    from drivers.links.recording import Recorder

    return Recorder(link, Path(record))


def _link(address: str, seconds: float) -> Transport:
    scheme, colon, rest = address.partition(":")
    if scheme == "tcp" and rest.startswith("//"):
        return _tcp(address, seconds)
    if scheme == "serial" and rest.startswith("//"):
        return _serial(address, seconds)
    if scheme == "replay" and colon and rest:
        from drivers.links.recording import Replay

        return Replay(Path(rest))
    from drivers.links.visa import VisaLink

    return VisaLink(address, seconds)


def _tcp(address: str, seconds: float) -> Transport:
    from drivers.links.tcp import TcpLink

    match = _TCP.fullmatch(address)
    if match is None or not 0 < int(match[3]) < 2**16:
        raise BadConfig(
            f"{quoted(address)} is no address", allowed="tcp://HOST:PORT, as tcp://192.168.0.7:5025"
        )
    return TcpLink(address, match[1] or match[2], int(match[3]), seconds)


def _serial(address: str, seconds: float) -> Transport:
    from drivers.links.serial_port import SerialLink

    match = _SERIAL.fullmatch(address)
    options = [_OPTION.fullmatch(option) for option in match[2].split("&")] if match and match[2] else []
    if match is None or not all(options):
        raise BadConfig(
            f"{quoted(address)} is no address",
            allowed="serial://PORT, behind it ?baud=BAUD, boot=SECONDS or both with & between: "
            "serial:///dev/ttyACM0?baud=115200&boot=2",
        )
    baud, boot = 9600, 0.0
    for option in filter(None, options):
        baud, boot = int(option[1] or baud), float(option[2] or boot)
    return SerialLink(address, match[1], baud, seconds, boot)
