"""Whether an emulated output is on, for eyes outside: 64 bytes of a file that every process may look at.

A test kills a program and asks whether the source behind it went off, and when. The answer must not come
through the program, nor through the link that it held: the emulator writes it here, at once, and
`time.monotonic()` (CLOCK_MONOTONIC) is the same in all processes of a machine.

Layout, little-endian: 8 bytes of mark, then a count of changes (u64), outputs that drive more than
0 V or 0 A now (u64), monotonic seconds of the last change to "all off" and to "one on" (f64, f64), the
largest level now (f64, V or A). The first is twice the number of changes, and odd while the rest is being
written.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from typing import NamedTuple, Self

MARK = b"witness1"
SIZE = 64
_BODY = struct.Struct("<8sQQddd")
_COUNT = struct.Struct("<Q")


class Seen(NamedTuple):
    """What a witness says."""

    changes: int
    """How often any output changed."""
    live: int
    """Outputs that drive something now."""
    off_at: float
    """`time.monotonic()` when the last of them went off; 0: never."""
    on_at: float
    """`time.monotonic()` when the first of them went on; 0: never."""
    level: float
    """[V or A] the largest that is driven now, of either sign."""


class Witness:
    """The file, mapped. Writers `put`; readers `look`. Closed by `close` or a `with`."""

    def __init__(self, path: Path, fresh: bool = True) -> None:
        if fresh:
            path.write_bytes(_BODY.pack(MARK, 0, 0, 0.0, 0.0, 0.0).ljust(SIZE, b"\0"))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)
        self._levels: dict[object, float] = {}
        self._seen = self.look()

    @classmethod
    def of(cls, path: Path) -> Self:
        """An eye on a file that an emulator writes."""
        return cls(path, fresh=False)

    def put(self, output: object, level: float) -> None:
        """This output drives so much now [V or A]; 0: nothing, or it is off."""
        if self._levels.get(output, 0.0) == level:
            return
        was_live = any(self._levels.values())
        self._levels[output] = level
        largest, live = max(map(abs, self._levels.values())), sum(map(bool, self._levels.values()))
        now, seen = time.monotonic(), self._seen
        off_at = now if was_live and not live else seen.off_at
        on_at = now if live and not was_live else seen.on_at
        self._seen = Seen(seen.changes + 1, live, off_at, on_at, largest)
        # copied as they are: `pack_into` makes zeros of everything first, and somebody may look just then
        self._map[8:16] = _COUNT.pack(2 * seen.changes + 1)
        self._map[16 : _BODY.size] = _BODY.pack(MARK, 0, *self._seen[1:])[16:]
        self._map[8:16] = _COUNT.pack(2 * self._seen.changes)

    def look(self) -> Seen:
        """What it says now; `ValueError` if this is no witness."""
        while True:
            mark, count, *rest = _BODY.unpack_from(self._map)
            if mark != MARK:
                raise ValueError("not the file of a witness")
            if not count % 2 and _COUNT.unpack_from(self._map, 8)[0] == count:
                return Seen(count // 2, *rest)

    def close(self) -> None:
        """Let the file go."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
