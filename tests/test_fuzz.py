"""Whatever an instrument says: only the errors of this house, little memory, and no call beyond its deadline.

100,000 replies here; `LABCTL_FUZZ=1000000` asks for more.
"""

import contextlib
import os
import random
import resource
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator
from functools import partial

import pytest

from drivers.languages.numbers import NONE_FROM, identity, number, numbers, reals
from drivers.languages.scpi import Scpi, same_word
from drivers.links import connect
from drivers.links.stream import CHUNK
from drivers.links.transport import MOST_BYTES
from labctl.errors import LabError, Misbehaved, Outputs
from tests.garbled import garbled
from tests.memory_link import MemoryLink
from tests.peers import Line, Pty, lines, peer

HOW_MANY = int(os.environ.get("LABCTL_FUZZ", "100000"))
BEYOND = 0.05
"""[s] that a call may end after its deadline."""


def check_number(value: object) -> None:
    assert isinstance(value, float)
    assert abs(value) < NONE_FROM


def check_numbers(values: object) -> None:
    assert isinstance(values, list)
    for value in values:
        check_number(value)


def check_text(text: object) -> None:
    assert isinstance(text, str)
    assert text.isascii()
    assert text.replace("\t", " ").isprintable()


def check_block(block: object) -> None:
    assert isinstance(block, bytes)
    assert len(block) <= 4096


QUESTIONS: tuple[tuple[Callable[[Scpi], object], Callable[[object], None]], ...] = (
    (lambda scpi: scpi.ask("?"), check_text),
    (lambda scpi: scpi.ask("?", most=100), check_text),
    (lambda scpi: scpi.ask_number("?"), check_number),
    (lambda scpi: scpi.ask_numbers("?"), check_numbers),
    (lambda scpi: scpi.ask_numbers("?", 5), check_numbers),
    (lambda scpi: scpi.set("V", 1e-7), check_number),
    (lambda scpi: scpi.set_word("F", "OFF") or "OFF", check_text),
    (lambda scpi: ",".join(scpi.identity()), check_text),
    (lambda scpi: "".join(scpi.drain()), check_text),
    (lambda scpi: scpi.ask_block("?", 1.0, most=4096), check_block),
    (lambda scpi: reals(scpi.ask_block("?", 1.0, most=4096)), check_numbers),
)
PARSERS: tuple[tuple[Callable[[str], object], Callable[[object], None]], ...] = (
    (number, check_number),
    (numbers, check_numbers),
    (lambda text: numbers(text, 2, "\t"), check_numbers),
    (lambda text: ",".join(identity(text)), check_text),
    (lambda text: str(same_word(text, "OFF")), check_text),
)


def check_error(error: LabError) -> None:
    assert isinstance(error, Misbehaved)
    assert error.outputs is Outputs.UNKNOWN
    assert error.wrong.isprintable()
    assert len(error.wrong) < 1000


def tried(call: Callable[[], object], check: Callable[[object], None], tally: dict[str, int]) -> None:
    """Whatever comes of a call is a value that keeps its word, or an error of this house that says enough."""
    try:
        value = call()
    except LabError as error:
        check_error(error)
        tally[type(error).__name__] = tally.get(type(error).__name__, 0) + 1
    else:
        check(value)
        tally["values"] = tally.get("values", 0) + 1


def resident() -> int:
    """Bytes of memory that this process has."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_fuzz_only_documented_errors_and_bounded_memory(capsys: pytest.CaptureFixture[str]) -> None:
    tally: dict[str, int] = {}
    dice = random.Random(9)
    began, peak, before = time.monotonic(), 0, resident()
    tracemalloc.start()
    for seed in range(HOW_MANY):
        if seed == HOW_MANY // 10:  # it makes everything four times slower
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        reply = garbled(seed)
        call, check = QUESTIONS[seed % len(QUESTIONS)]
        link = MemoryLink(lambda _, reply=reply: reply, seed=seed if dice.random() < 0.3 else None)
        tried(partial(call, Scpi(link)), check, tally)
        assert len(link._held) <= MOST_BYTES + CHUNK
        parse, check = PARSERS[seed % len(PARSERS)]
        text = reply.decode(dice.choice(("latin-1", "utf-8")), "replace")
        tried(partial(parse, text), check, tally)
    grown = resident() - before
    with capsys.disabled():
        took = time.monotonic() - began
        sys.stdout.write(
            f" [{HOW_MANY} replies, {took:.0f} s; memory: peak {peak / 2**20:.1f} MiB, "
            f"grown by {grown / 2**20:.1f} MiB; {tally}] "
        )
    assert set(tally) == {"values", "BoardFault", "BoardHung", "NoNumber"}
    assert min(tally.values()) > HOW_MANY / 200
    assert peak < 8 * 2**20
    assert grown < 32 * 2**20


@contextlib.contextmanager
def lateness() -> Generator[Callable[[], float]]:
    """[s] How late this machine wakes a thread that only sleeps, at worst, meanwhile."""
    worst, done = [0.0], threading.Event()

    def tick() -> None:
        while not done.is_set():
            until = time.monotonic() + 0.005
            time.sleep(0.005)
            worst[0] = max(worst[0], time.monotonic() - until)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield lambda: worst[0]
    finally:
        done.set()
        thread.join()


def saying(line: Line) -> None:
    """Answers the number of a reply with that reply, at once or bit by bit; some it ends by hanging up."""
    for question in lines(line):
        seed = int(question)
        dice, reply = random.Random(seed), garbled(seed)
        if dice.random() < 0.1:
            for at in range(min(len(reply), 50)):
                line.sendall(reply[at : at + 1])
                time.sleep(0.002)
        else:
            line.sendall(reply)
        if dice.random() < 0.05 and not isinstance(line, Pty):
            return


@pytest.mark.parametrize(("kind", "count"), [("tcp", 2000), ("visa", 1000), ("serial", 150)])
def test_fuzz_no_call_outlives_its_deadline(
    kind: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    deadline, worst = 0.02 if kind != "serial" else 0.06, 0.0
    tally: dict[str, int] = {}
    with peer(kind, saying) as address, lateness() as machine:
        link = connect(address, seconds=5.0 if kind != "serial" else 0.2)  # it listens for half of that
        for seed in range(count):
            with contextlib.suppress(LabError):  # opening has the link's own deadline
                link.open()
            began = time.monotonic()
            tried(partial(link.ask, b"%d\n" % seed, seconds=deadline), lambda _: None, tally)
            worst = max(worst, time.monotonic() - began - deadline)
        link.close()
        allowed = BEYOND + machine()
    with capsys.disabled():
        sys.stdout.write(
            f" [{kind}: at most {1e3 * worst:.1f} ms late, the machine {1e3 * machine():.1f} ms] "
        )
    assert worst < allowed
    assert tally["values"] > count / 5
    assert tally["BoardHung"] > count / 50
