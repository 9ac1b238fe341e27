"""A link without a wire: what it is asked goes to a function, and what that says comes back in pieces."""

import random
from collections.abc import Callable

from drivers.links.stream import CHUNK, StreamLink


class MemoryLink(StreamLink):
    """`answer` is given each message, and its reply is heard, with a seed in pieces; after it, time is up."""

    def __init__(self, answer: Callable[[bytes], bytes], *, seed: int | None = None) -> None:
        super().__init__("memory", 2.0)
        self._answer = answer
        self._random = random.Random(seed)
        self._in_pieces = seed is not None
        self._coming = b""
        self._going = b""
        self.sent: list[bytes] = []
        self.opened = 0

    def _connect(self, seconds: float) -> None:
        self.opened += 1

    def _disconnect(self) -> None:
        self._coming = b""

    def _send(self, data: memoryview, seconds: float) -> int:
        size = self._random.randint(1, len(data)) if self._in_pieces else len(data)
        self._going += data[:size]
        if size == len(data):
            self.sent.append(self._going)
            self._coming, self._going = self._coming + self._answer(self._going), b""
        return size

    def _receive(self, seconds: float) -> bytes:
        if not self._coming:
            raise TimeoutError
        size = self._random.randint(1, min(len(self._coming), 2000)) if self._in_pieces else CHUNK
        piece, self._coming = self._coming[:size], self._coming[size:]
        return piece

    def _waiting(self) -> bool:
        return bool(self._coming)
