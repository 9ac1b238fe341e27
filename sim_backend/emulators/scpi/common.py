"""Commands that every SCPI instrument has: identity, status, errors (IEEE 488.2, SCPI 1999.0)."""

from __future__ import annotations

from sim_backend.emulators.scpi.headers import OPERATION_COMPLETE, POWER_ON
from sim_backend.emulators.scpi.parser import Scpi, command, none, only
from sim_backend.emulators.scpi.values import STANDARD, Number
from sim_backend.emulators.serving.instrument import Clock

_MASK = Number(0, 255, 0, whole=True)


class Common(Scpi):
    """An instrument with the common commands; it says what they mean for it."""

    identity = "LABCTL,EMULATOR,0,0"

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._event_mask, self._service_mask = 0, 0
        self._completing = False

    def reset(self) -> None:
        """What ``*RST`` does to the settings."""

    def finished(self) -> bool:
        """Whether nothing is under way."""
        return True

    def wait(self) -> None:
        """Nothing, or `Blocked` until what is under way ends."""

    def conditions(self) -> int:
        """Bits of the status byte that only the instrument knows."""
        return 0

    def error_form(self, code: int, text: str) -> str:
        """How the error queue replies."""
        return f'{code},"{text}"'

    def power_cycle(self) -> None:
        """Off and on again."""
        self._waiting.clear()
        self.errors.clear()
        self.events, self._event_mask, self._service_mask = POWER_ON, 0, 0
        self.reset()

    def receive(self, message: bytes) -> bytes:
        """As every SCPI instrument; what was under way may have ended before."""
        reply = super().receive(message)
        if self._completing and self.finished():
            self._completing = False
            self.events |= OPERATION_COMPLETE
        return reply

    def next_error(self) -> str:
        """The oldest, taken out of the queue."""
        return self.error_form(*(self.errors.popleft() if self.errors else (0, STANDARD[0])))

    @command("*IDN?")
    def _identify(self, arguments: list[str]) -> str:
        none(arguments)
        return self.identity

    @command("*RST")
    def _reset(self, arguments: list[str]) -> None:
        none(arguments)
        self.reset()

    @command("*CLS")
    def _clear(self, arguments: list[str]) -> None:
        none(arguments)
        self.errors.clear()
        self.events, self._completing = 0, False

    @command("*ESR?")
    def _events_then_none(self, arguments: list[str]) -> str:
        none(arguments)
        events, self.events = self.events, 0
        return str(events)

    @command("*ESE")
    def _mask_events(self, arguments: list[str]) -> None:
        self._event_mask = int(_MASK.read(only(arguments)))

    @command("*ESE?")
    def _mask_of_events(self, arguments: list[str]) -> str:
        none(arguments)
        return str(self._event_mask)

    @command("*SRE")
    def _mask_service(self, arguments: list[str]) -> None:
        self._service_mask = int(_MASK.read(only(arguments))) & ~64

    @command("*SRE?")
    def _mask_of_service(self, arguments: list[str]) -> str:
        none(arguments)
        return str(self._service_mask)

    @command("*STB?")
    def _status(self, arguments: list[str]) -> str:
        none(arguments)
        bits = self.conditions() | 4 * bool(self.errors) | 32 * bool(self.events & self._event_mask)
        return str(bits | 64 * bool(bits & self._service_mask))

    @command("*OPC")
    def _tell_completion(self, arguments: list[str]) -> None:
        none(arguments)
        self._completing = True

    @command("*OPC?")
    def _completion(self, arguments: list[str]) -> str:
        none(arguments)
        self.wait()
        return "1"

    @command("*WAI")
    def _wait(self, arguments: list[str]) -> None:
        none(arguments)
        self.wait()

    @command("*TST?")
    def _test(self, arguments: list[str]) -> str:
        none(arguments)
        return "0"

    @command(":SYSTem:ERRor[:NEXT]?")
    def _next_error(self, arguments: list[str]) -> str:
        none(arguments)
        return self.next_error()

    @command(":SYSTem:ERRor:COUNt?")
    def _error_count(self, arguments: list[str]) -> str:
        none(arguments)
        return str(len(self.errors))

    @command(":SYSTem:CLEar")
    def _clear_errors(self, arguments: list[str]) -> None:
        none(arguments)
        self.errors.clear()

    @command(":SYSTem:VERSion?")
    def _version(self, arguments: list[str]) -> str:
        none(arguments)
        return "1999.0"
