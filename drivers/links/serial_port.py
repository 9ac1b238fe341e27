"""A serial port to an instrument, through pyserial, for one program at a time.

`exclusive=True` refuses a second opener, if that one asks for the same. pyserial's time-outs are for each
piece, so pieces are asked for in short turns, and the deadline is ours. Closing a port does not end what an
instrument is still saying: after a time-out, half of the next call's time goes into listening, and what
comes in it is forgotten.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from drivers.links.stream import CHUNK, StreamLink, why
from labctl.errors import InUse, Refused, Unavailable

if TYPE_CHECKING:
    from serial import Serial

_TURN = 0.01
"""[s] A wait of pyserial's; no deadline is overrun by more than this."""


class SerialLink(StreamLink):
    """A link over `port` (`/dev/ttyUSB0`, `COM3`) at `baud`: 8 bits, no parity, one stop bit."""

    late_replies_survive = True

    def __init__(
        self, address: str, port: str, baud: int = 9600, seconds: float = 2.0, boot_seconds: float = 0.0
    ) -> None:
        """`boot_seconds` are waited after each opening, beside the deadline, and what comes in them is
        forgotten: there are boards that start anew, and say so, when their port is opened.
        """
        super().__init__(address, seconds)
        self._path, self._baud, self._boot_seconds = port, baud, boot_seconds
        self._port: Serial | None = None

    def _connect(self, seconds: float) -> None:
        try:
            import serial
        except ImportError as error:
            raise Unavailable(f"pyserial cannot be had: {why(error)}", todo="pip install pyserial") from error
        try:
            self._port = serial.Serial(
                self._path, self._baud, timeout=_TURN, write_timeout=seconds, exclusive=True
            )
            if self._boot_seconds:
                time.sleep(self._boot_seconds)
                self._port.reset_input_buffer()
        except Exception as error:  # pyserial's are OSErrors; termios has errors of its own
            raise self._refusal(error) from error

    def _disconnect(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _send(self, data: memoryview, seconds: float) -> int:
        from serial import SerialTimeoutException

        port = self._opened()
        try:
            port.write_timeout = seconds
            return port.write(bytes(data)) or 0
        except SerialTimeoutException as error:
            raise TimeoutError from error

    def _receive(self, seconds: float) -> bytes:
        port = self._opened()
        first = port.read(1)
        return first + port.read(min(port.in_waiting, CHUNK - 1)) if first else b""

    def _waiting(self) -> bool:
        return self._opened().in_waiting > 0

    def _opened(self) -> Serial:
        if self._port is None:
            raise ConnectionError("the port is closed")
        return self._port

    def _refusal(self, error: Exception) -> Refused:
        number = getattr(error, "errno", None)
        if number in (errno.EAGAIN, errno.EBUSY):
            return InUse(
                f"{self.address} is in use by another program",
                allowed="one program to a port",
                todo="close the other program, a terminal or a serial monitor perhaps",
            )
        todo = "see that it is plugged in, and what its port is called"
        if number == errno.EACCES:
            todo = "join the group that may use serial ports (dialout on most systems), and log in again"
        return Unavailable(f"{self.address} is no serial port that can be used: {why(error)}", todo=todo)
