"""The emulated kT-RAM server's face on loopback HTTP, with what can go wrong with its answers."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sim_backend.emulators.ktram_server import KtRam, Refusal

LOGIN = "somebody:secret"
PATH = "/kt-ram-server"


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Any
    """The `_Server` below."""

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class has it
        """Nothing on anybody's terminal."""

    def _serve(self, body: Any) -> None:
        wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
        ktram = self.server.ktram
        with self.server.one_at_a_time:
            ktram.heard.append(self.path)
            if self.headers["Authorization"] != wanted:
                self._send(401, b'{"code": 401, "message": "Unauthorized"}')
            elif not self.path.startswith(f"{PATH}/"):
                self._send(404, b'{"code": 404, "message": "Not Found"}')
            elif ktram.fault.startswith("before"):
                self._spoil(ktram.fault.partition(" ")[2], b"true")
            else:
                self._spoil(ktram.fault, *self._answered(self.path.removeprefix(PATH), body))

    def _answered(self, path: str, body: Any) -> tuple[bytes, int]:
        try:
            return json.dumps(self.server.ktram.answer(path, body)).encode(), 200
        except (Refusal, ValueError, KeyError, TypeError) as error:
            told = f"javax.ws.rs.WebApplicationException: {error}"
            return json.dumps({"code": 500, "message": told}).encode(), 500

    def _spoil(self, fault: str, answer: bytes, status: int = 200) -> None:
        what, _, amount = fault.partition(" ")
        match what:
            case "":
                self._send(status, answer)
            case "say":
                self._send(200, amount.encode())
            case "status":
                self._send(int(amount), answer)
            case "late":
                time.sleep(float(amount))
                self._send(status, answer)
            case "drop":
                self.close_connection = True
            case "flood":
                self._send(200, b"1" * int(amount))
            case _:  # "dribble SECONDS"
                self._dribble(answer, float(amount))

    def _dribble(self, answer: bytes, seconds: float) -> None:
        self._send(200, b"", len(answer))
        with contextlib.suppress(OSError):
            for byte in answer:
                time.sleep(seconds)
                self.wfile.write(bytes([byte]))
                self.wfile.flush()

    def _send(self, status: int, text: bytes, length: int | None = None) -> None:
        with contextlib.suppress(OSError):  # whoever asked has gone
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text) if length is None else length))
            self.end_headers()
            self.wfile.write(text)


class _Server(ThreadingHTTPServer):
    """Threads, so that one client that waits holds up nobody's goodbye; one request at a time."""

    daemon_threads = True

    def __init__(self, ktram: KtRam, port: int) -> None:
        self.ktram, self.one_at_a_time = ktram, threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)


@contextlib.contextmanager
def on_http(ktram: KtRam, port: int = 0) -> Generator[str]:
    """The server on a port of this machine; its address."""
    with _Server(ktram, port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}{PATH}"
        finally:
            server.shutdown()
            thread.join()
