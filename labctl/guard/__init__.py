"""Any board in a process of its own, which switches it off when its user is gone.

`finally` and `with` keep a source from staying on only as long as the program can still run them. It
cannot after a SIGKILL, a segmentation fault in a library, or a hang. So the board lives in a second process
that does nothing else: it owns the instrument, drives what it is asked to, and makes safe when its client
ends, is not heard from for a lease, or when somebody says `labctl stop`. It then asks the instrument
whether it is off, and says so; what is not confirmed is UNKNOWN.

Modules: `client` has `Guarded`, the board that stands for the other one; `process` starts the guard and
keeps its lease; `wire` is what is said; `child` is the guard; `watch` is the thread in it that misses the
client; `registry` is where all guards of a machine are found. Why it is so: docs/decisions/0016-the-guard.md.
"""

from labctl.guard.client import Guarded, Guarding

__all__ = ["Guarded", "Guarding"]
