"""Questions to a kT-RAM server over HTTPS: one total deadline, one cap on a reply, strict JSON, never twice.

Every question has a connection of its own: a kept one that the server had closed meanwhile could only be
found out by sending a pulse twice. The name and password come from an environment variable; they go over
HTTPS, whose certificate is checked, or to this machine itself. Redirects and proxies are not followed.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import threading
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

from labctl.errors import BadConfig, BoardFault, BoardGone, BoardHung, LabError, Unavailable
from labctl.quantity import format_quantity, quoted

MOST_BYTES = 2**20
"""A reply that is longer is no reply."""
_HERE = ("127.0.0.1", "::1", "localhost")


class Web:
    """A server at `address` (https://HOST:PORT/PATH), for one thread at a time."""

    def __init__(self, address: str, login: str, certificate: str | None, seconds: float) -> None:
        """`login` names the environment variable that holds NAME:PASSWORD."""
        parts = urlsplit(address)
        self._host, self._path = parts.hostname or "", parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        try:
            self._port = parts.port or (443 if self._secure else 80)
        except ValueError:
            self._port = 0
        here = parts.scheme == "http" and self._host in _HERE
        extra = parts.query or parts.fragment or parts.username or parts.password
        if not ((self._secure or here) and self._host and self._port) or extra:
            raise BadConfig(
                f"{quoted(address)} is no address of a kT-RAM server",
                allowed="https://HOST:PORT/PATH (http:// for this machine itself), without name or password",
                todo=f"the environment variable {login} has NAME:PASSWORD",
            )
        self.address, self._login, self._certificate, self._seconds = address, login, certificate, seconds

    def ask(self, path: str, body: object = None) -> Any:
        """The JSON that answers GET of `path`, or POST of `body`. Sent once, whatever becomes of it.

        Raises `Unavailable` where there is no login or certificate, before anything is sent, and `BoardHung`,
        `BoardGone` or `BoardFault` for what went wrong with the answer.
        """
        headers = {"Authorization": f"Basic {self._credentials()}", "Accept": "application/json"}
        sent = None if body is None else json.dumps(body).encode("ascii")
        if sent is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        late = threading.Event()
        timer = threading.Timer(self._seconds, _end, (connection, late))
        timer.daemon = True
        timer.start()
        try:
            connection.request("GET" if sent is None else "POST", f"{self._path}/{path}", sent, headers)
            reply = connection.getresponse()
            text = reply.read(MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._failure(error, late.is_set()) from error
        finally:
            timer.cancel()
            connection.close()
        if late.is_set():
            raise self._failure(TimeoutError(), late=True)
        return self._answer(reply.status, text)

    def _credentials(self) -> str:
        told = os.environ.get(self._login, "")
        if ":" not in told:
            raise Unavailable(
                f"the environment variable {self._login} does not hold NAME:PASSWORD",
                allowed="a login of the kT-RAM server, which no file of labctl ever has",
                todo=f"read -rs {self._login}; export {self._login}",
            )
        return base64.b64encode(told.encode("utf-8")).decode("ascii")

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
        try:
            trust = ssl.create_default_context(cafile=self._certificate)
        except (OSError, ssl.SSLError) as error:
            raise Unavailable(
                f"the certificate {self._certificate} cannot be read: {error}",
                todo="name the file (PEM) of the authority that signed the server's certificate",
            ) from error
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=trust)

    def _answer(self, status: int, text: bytes) -> Any:
        if len(text) > MOST_BYTES:
            self._wrong(f"more than {MOST_BYTES} bytes")
        if status == http.client.UNAUTHORIZED:
            raise Unavailable(
                f"{self.address} does not know the login in {self._login}",
                todo="ask who keeps the server for one",
            )
        try:
            found = json.loads(
                text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_once_each
            )
        except (ValueError, RecursionError):
            self._wrong(f"what is no JSON: {quoted(text[:60].decode('latin-1'))}")
        if status != http.client.OK:
            told: dict[str, Any] = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
            self._wrong(f"{status}: {quoted(str(told.get('message', '')), 300)}")
        return found

    def _wrong(self, what: str) -> NoReturn:
        raise BoardFault(
            f"{self.address} answered {what}", todo="see the message, or ask who keeps the server"
        )

    def _failure(self, error: Exception, late: bool) -> LabError:
        if late or isinstance(error, TimeoutError):
            within = format_quantity(self._seconds, "s")
            return BoardHung(
                f"{self.address} gave no whole answer within {within}", todo="try it again later"
            )
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unavailable(
                f"{self.address} cannot prove who it is: {error.verify_message}",
                todo='certificate = "FILE" of the authority that signed it, from who keeps the server',
            )
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return BoardGone(f"{self.address} cannot be reached, or ended the link: {quoted(str(why))}")


def _end(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """The time is up: whoever reads from the connection finds it ended."""
    late.set()
    line: socket.socket | None = connection.sock
    if line is not None:
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found
