"""What all emulated instruments with TSP share: messages, scripts, the error queue.

Follows the Series 2600B System SourceMeter Reference Manual, 2600BS-901-01, "TSP commands" and "Error summary
list". Each message is a chunk of Lua, run at once; between `loadscript` and `endscript` messages are lines of
a script that is run by its name. Stricter than the bench: an attribute that is not there cannot be read, and
what is wrong is in the queue (-285 while it is read, -286 while it runs). A chunk that waits
(`waitcomplete()`, on a real clock `delay()` too) holds up what is sent after it, but for `abort`.
"""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache

from sim_backend.emulators.lua.interpreter import Lua, Run
from sim_backend.emulators.lua.parser import parse
from sim_backend.emulators.lua.values import (
    Attribute,
    Host,
    LuaError,
    Part,
    Value,
    action,
    argument,
    number,
    shown,
)
from sim_backend.emulators.lua.words import LuaSyntaxError
from sim_backend.emulators.serving.instrument import Blocked, Clock, Emulated
from sim_backend.emulators.tsp.errors import ErrorQueue
from sim_backend.emulators.tsp.library import library
from sim_backend.emulators.tsp.output import Output

SYNTAX_ERROR, RUNTIME_ERROR = -285, -286
_parsed = lru_cache(1024)(parse)


class Script(Host):
    """A named script: `name()` or `name.run()`."""

    def __init__(self, tsp: Tsp, source: str) -> None:
        self._tsp, self.source = tsp, source

    def get(self, key: Value) -> Value:
        if key == "run":
            return self
        if key == "source":
            return self.source
        raise LuaError(f"a script has no attribute `{shown(key)}'")

    def put(self, key: Value, value: Value) -> None:
        raise LuaError("a script cannot be changed")

    def __call__(self, given: list[Value]) -> list[Value]:
        self._tsp.run_next(self.source)
        return []


class Tsp(Emulated):
    """The front of an instrument that runs TSP; `names` of it are added by what it is."""

    line_hertz = 50.0

    def __init__(self, identity: tuple[str, str, str, str], clock: Clock | None = None) -> None:
        self.identity = identity
        self.clock = clock or Clock()
        self.errors = ErrorQueue()
        self._output = Output()
        self._run: Run | None = None
        self._messages = deque[bytes]()
        self._scripts = deque[str]()
        self._loading: tuple[str, bool, list[str]] | None = None
        self._until: float | None = None
        self._lua = Lua({**self._names(), **self.names()}, self._skip)

    # ------------------------------------------------------------------ what an instrument adds

    def names(self) -> dict[str, Value]:
        """Its globals."""
        return {}

    def reset(self) -> None:
        """`reset()`: everything as it was delivered."""

    def advance(self) -> None:
        """What is under way goes on, up to now."""

    def wait(self) -> None:
        """Nothing, or `Blocked` until what is under way ends."""

    def stop(self) -> None:
        """`abort`: what is under way ends."""

    def translate(self, error: Exception) -> LuaError:
        """What a script is told of an error of what stands behind; one that is none is raised."""
        if not isinstance(error, LuaError):
            raise error
        return error

    def rest(self, seconds: float) -> None:
        """Time passes in a script [s]."""
        self.clock.seconds += seconds

    # -------------------------------------------------------------------------------- messages

    def receive(self, message: bytes) -> bytes:
        """One line; what is printed in reply."""
        self.advance()
        if message.strip() == b"abort":
            self._abandon()
            self.stop()
        else:
            self._messages.append(message)
        return self._go_on()

    def poll(self) -> bytes:
        """Go on with what waited."""
        self.due = math.inf
        self.advance()
        return self._go_on()

    def overrun(self) -> None:
        """A line too long."""
        self.errors.add(-363, "Input buffer overrun")

    def power_cycle(self) -> None:
        """Scripts that were not saved are lost."""
        self._abandon()
        self.errors.clear()
        self._loading = None
        self._output.deliver()
        self.reset()
        self._lua = Lua({**self._names(), **self.names()}, self._skip)

    def suffer(self, fault: str, amount: str) -> bool:
        """`errors`: its queue is never empty."""
        self.errors.endless = self.errors.endless or fault == "errors"
        return fault == "errors"

    def run_next(self, source: str) -> None:
        """Run a script when the chunk that is running has ended."""
        self._scripts.append(source)

    def _go_on(self) -> bytes:
        while self._step():
            pass
        return self._output.taken()

    def _step(self) -> bool:
        """One chunk to its end, or as far as it gets; whether there may be more to do."""
        if self._run is None:
            if self._scripts:
                self._begin(self._scripts.popleft())
            elif self._messages:
                self._line(self._messages.popleft())
            else:
                return False
        if self._run is None:
            return True
        try:
            self.due = next(self._run).due
        except StopIteration:
            self._run = None
        except Exception as error:  # noqa: BLE001 - those that no client could make are raised again
            self._failed(self.translate(error))
        return self._run is None

    def _failed(self, error: LuaError) -> None:
        self._run, self._until = None, None
        self._scripts.clear()
        wrong = f"TSP Runtime error: {error}" if error.code == RUNTIME_ERROR else str(error)
        self.errors.add(error.code, wrong)

    def _abandon(self) -> None:
        self._run, self._until, self.due = None, None, math.inf
        self._messages.clear()
        self._scripts.clear()

    def _line(self, message: bytes) -> None:
        line = message.decode("latin-1").strip("\r")
        word, _, rest = line.strip().partition(" ")
        if not line.isascii():
            self.errors.add(SYNTAX_ERROR, "TSP Syntax error: unexpected symbol")
        elif word == "endscript" and self._loading is not None:
            self._end_script()
        elif self._loading is not None:
            self._loading[2].append(line)
        elif word in ("loadscript", "loadandrunscript"):
            self._loading = rest.strip(), word == "loadandrunscript", []
        elif word.startswith("*"):
            self._common(word.upper())
        else:
            self._begin(line)

    def _begin(self, source: str) -> None:
        try:
            self._run = self._lua.run(_parsed(source))
        except (LuaSyntaxError, RecursionError) as error:
            self.errors.add(SYNTAX_ERROR, f"TSP Syntax error {error}")

    def _end_script(self) -> None:
        assert self._loading is not None
        (name, runs, lines), self._loading = self._loading, None
        script = Script(self, "\n".join(lines))
        try:
            _parsed(script.source)
        except (LuaSyntaxError, RecursionError) as error:
            self.errors.add(SYNTAX_ERROR, f"TSP Syntax error {error}")
            return
        names = self._lua.globals.names
        if name:
            names[name] = script
        else:
            names["run"] = script
        if runs:
            self.run_next(script.source)

    def _common(self, word: str) -> None:
        """The commands of IEEE 488.2 that are no Lua."""
        if word == "*IDN?":
            self._output.say(", ".join(self.identity))
        elif word == "*RST":
            self._begin("reset()")
        elif word == "*CLS":
            self.errors.clear()
        elif word in ("*OPC?", "*TST?"):
            self._begin(f"waitcomplete() print({'1' if word == '*OPC?' else '0'})")
        elif word == "*WAI":
            self._begin("waitcomplete()")
        else:
            self.errors.add(SYNTAX_ERROR, f"TSP Syntax error: {word}")

    # --------------------------------------------------------------------------- globals

    def _names(self) -> dict[str, Value]:
        maker, model, serial, revision = self.identity
        node: dict[str, Attribute | Value] = {
            "model": model.split()[-1],
            "serialno": serial,
            "revision": revision,
            "description": maker,
            "linefreq": self.line_hertz,
            "reset": action(self.reset),
        }
        return {
            **library(),
            **self._output.names(),
            "delay": self._delay,
            "waitcomplete": action(self.wait),
            "reset": action(self.reset),
            "errorqueue": self.errors.part(),
            "localnode": Part("localnode", node),
        }

    def _delay(self, given: list[Value]) -> list[Value]:
        seconds = number(argument(given, 0), "delay")
        if not 0 <= seconds <= 100e3:
            raise LuaError("Parameter, seconds, out of range", 1101)
        if not self.clock.real:
            self.rest(seconds)
            return []
        now = self.clock.now()
        self._until = now + seconds if self._until is None else self._until
        if now < self._until:
            raise Blocked(self.clock.due(self._until))
        self._until = None
        return []

    def _skip(self, blocked: Blocked) -> None:
        """Inside a function of a script nobody waits: the clock goes ahead instead."""
        if blocked.due == math.inf:
            raise LuaError("waits for what never comes")
        self.rest(max(0.0, blocked.due - self.clock.due(self.clock.now())))
