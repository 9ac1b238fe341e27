"""Switch boxes over their emulators: what is closed is what was asked, and what is not is told."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from drivers.keithley2600 import Keithley2600 as SourceBoard
from drivers.switch_boxes.switchbox import Channel, SwitchBox, SwitchSettings, switch_box
from labctl.addressing import select
from labctl.config import build
from labctl.errors import (
    BadConfig,
    BoardFault,
    BoardGone,
    BoardHung,
    InUse,
    LabError,
    Misbehaved,
    Outputs,
    Refused,
)
from labctl.pulse import Purpose
from labctl.reading import conductance
from labctl.shapes import square
from sim_backend.emulators.behind.terminals import Resistors, Terminals
from sim_backend.emulators.keithley2600 import Keithley2600
from sim_backend.emulators.keithley_707b import Keithley707B, Keithley3706A
from sim_backend.emulators.keysight_34970a import Keysight34970A
from sim_backend.emulators.relay_card import RelayCard
from sim_backend.emulators.serving.server import on_pty, on_tcp

TRANSCRIPTS = Path(__file__).with_name("transcripts")
Serve = Callable[..., AbstractContextManager[str]]
on_waiting_tcp = partial(on_tcp, waiting=True)
"""Whose next client waits until the last one is seen to have gone."""


@dataclass(frozen=True)
class Kind:
    """One box: its driver, its emulator, and what its first three channels are called."""

    driver: str
    emulator: Callable[..., Any]
    channels: tuple[Channel, ...]
    serve: Serve = on_waiting_tcp

    @property
    def counts(self) -> bool:
        return self.emulator is not RelayCard


BOXES = {
    "34970a": Kind("drivers.keysight_34970a:Keysight34970A", Keysight34970A, (101, 102, 103)),
    "707b": Kind("drivers.keithley_707b:Keithley707B", Keithley707B, ("1A01", "1A02", "1A03")),
    "3706a": Kind("drivers.keithley_707b:Keithley3706A", Keithley3706A, (1001, 1002, 1003)),
    "relay-card": Kind("drivers.relay_card:RelayCard", RelayCard, (0, 1, 2)),
    "relay-card-pty": Kind("drivers.relay_card:RelayCard", RelayCard, (0, 1, 2), on_pty),
}
each_kind = pytest.mark.parametrize("kind", BOXES.values(), ids=BOXES)


@pytest.fixture
def terminals() -> Terminals:
    return Terminals(Resistors((1e3, 2e3, 3e3)))


def settings(kind: Kind, address: str, channels: Sequence[object] | None = None, **more: object):
    table = {"class": kind.driver, "address": address, "channels": channels or kind.channels}
    return build(table | more, SwitchSettings, "test")


def opened(kind: Kind, address: str, **more: Any) -> SwitchBox:
    box = switch_box(settings(kind, address, **more))
    box.open()
    return box


@pytest.fixture(params=BOXES.values(), ids=BOXES)
def served(request: pytest.FixtureRequest, terminals: Terminals) -> Iterator[tuple[Kind, Any, SwitchBox]]:
    kind = request.param
    emulator = kind.emulator(terminals)
    with kind.serve(emulator) as address:
        box = opened(kind, address)
        yield kind, emulator, box
        box.close_link()


# ---- what is asked happens -----------------------------------------------------------------------


def test_one_site_at_a_time(served: tuple[Kind, Any, SwitchBox], terminals: Terminals) -> None:
    kind, _, box = served
    assert terminals.closed == set()
    for column, channel in enumerate(kind.channels):
        box.select([channel])
        assert box.closed() == {channel}
        assert terminals.closed == {column}
    box.open_all()
    assert box.closed() == set()
    assert terminals.closed == set()


def test_several_at_a_time(served: tuple[Kind, Any, SwitchBox], terminals: Terminals) -> None:
    kind, _, box = served
    box.select([kind.channels[0], kind.channels[2]])
    assert terminals.closed == {0, 2}
    box.select([])
    assert terminals.closed == set()


def test_what_is_closed_already_is_left_alone(served: tuple[Kind, Any, SwitchBox]) -> None:
    kind, emulator, box = served
    for _ in range(3):
        box.select([kind.channels[1]])
    name = emulator.relays.closed[0]
    assert emulator.relays.cycles[name] == 1
    assert box.cycles().get(kind.channels[1], 1) == 1
    assert bool(box.cycles()) is kind.counts


def test_break_before_make(served: tuple[Kind, Any, SwitchBox], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, emulator, box = served
    seen: list[set[str]] = []
    move = emulator.relays.move

    def watched(closed: set[str]) -> None:
        move(closed)
        seen.append(set(emulator.relays.closed))

    box.select([kind.channels[0]])
    monkeypatch.setattr(emulator.relays, "move", watched)
    box.select([kind.channels[1]])
    changes = [now for before, now in zip([None, *seen], seen, strict=False) if now != before]
    assert [len(closed) for closed in changes] == [0, 1]


def test_relays_settle_before_and_after(served: tuple[Kind, Any, SwitchBox], monkeypatch) -> None:
    kind, _, box = served
    naps: list[float] = []
    monkeypatch.setattr("drivers.switch_boxes.checked.time.sleep", naps.append)
    box.select([kind.channels[0]])
    assert naps == [box.settle_seconds] * 2
    box.select([kind.channels[0]])
    assert len(naps) == 2


@each_kind
def test_a_site_may_need_several_channels(kind: Kind, terminals: Terminals) -> None:
    a, b, c = kind.channels
    sites = [(str(a), str(c)), (str(b), str(c))]
    with kind.serve(kind.emulator(terminals, sites=sites)) as address:
        table = settings(kind, address, [(a, c), (b, c)])
        box = switch_box(table)
        box.open()
        for column, site in enumerate(table.sites):
            box.select(site)
            assert terminals.closed == {column}
        box.close_link()


@each_kind
def test_it_can_be_opened_again(kind: Kind) -> None:
    with kind.serve(kind.emulator()) as address:
        box = opened(kind, address)
        box.select([kind.channels[0]])
        box.close_link()
        box.close_link()
        box.open()
        assert box.closed() == set()
        box.close_link()


@each_kind
def test_a_longer_time_to_settle_is_taken(kind: Kind) -> None:
    box = switch_box(settings(kind, "tcp://127.0.0.1:1", settle="50 ms"))
    assert box.settle_seconds == 50e-3
    with pytest.raises(Refused, match=r"settle is 1 ms"):
        switch_box(settings(kind, "tcp://127.0.0.1:1", settle="1 ms"))


# ---- what is wrong is told -----------------------------------------------------------------------


def test_a_channel_that_the_bench_does_not_name_is_refused(served: tuple[Kind, Any, SwitchBox]) -> None:
    kind, emulator, box = served
    box.select([kind.channels[0]])
    with pytest.raises(Refused, match="has no channel 7"):
        box.select([7])
    assert len(emulator.relays.closed) == 1


@each_kind
def test_fault_35_a_relay_that_does_not_close(kind: Kind, terminals: Terminals) -> None:
    emulator = kind.emulator(terminals)
    with kind.serve(emulator, f"stuck-open {kind.channels[1]}") as address:
        box = opened(kind, address)
        box.select([kind.channels[0]])
        with pytest.raises(BoardFault, match="no channel is closed"):
            box.select([kind.channels[1]])
        assert box.closed() == set()
        box.select([kind.channels[2]])
        box.close_link()


@each_kind
def test_fault_35_a_relay_that_does_not_open(kind: Kind, terminals: Terminals) -> None:
    emulator = kind.emulator(terminals)
    with kind.serve(emulator) as address:
        box = opened(kind, address)
        box.select([kind.channels[0]])
        emulator.suffer("stuck-closed", str(kind.channels[0]))
        with pytest.raises(BoardFault, match=f"channel {kind.channels[0]} is still closed") as caught:
            box.select([kind.channels[1]])
        assert terminals.closed == {0}, "nothing else was closed beside it"
        assert caught.value.outputs.value == "UNKNOWN"
        with pytest.raises(BoardFault):
            box.open_all()
        box.close_link()


@each_kind
def test_fault_35_the_wrong_relay_closes(kind: Kind, terminals: Terminals, monkeypatch) -> None:
    emulator = kind.emulator(terminals)
    with kind.serve(emulator) as address:
        box = opened(kind, address)
        move = emulator.relays.move
        wrong = {str(kind.channels[1]): str(kind.channels[2])}
        monkeypatch.setattr(emulator.relays, "move", lambda closed: move({wrong.get(n, n) for n in closed}))
        with pytest.raises(BoardFault, match=f"channel {kind.channels[2]} is closed"):
            box.select([kind.channels[1]])
        assert box.closed() == set(), "everything was told to open"
        assert terminals.closed == set()
        box.close_link()


@each_kind
def test_fault_17_what_somebody_left_closed_is_opened(kind: Kind, terminals: Terminals) -> None:
    last = {101: "122", "1A01": "1H12", 1001: "1911", 0: "15"}[kind.channels[0]]
    emulator = kind.emulator(terminals)
    with kind.serve(emulator, f"left-closed {last}") as address:
        assert emulator.relays.closed == [last]
        box = opened(kind, address)
        assert emulator.relays.closed == []
        box.select([kind.channels[0]])
        emulator.suffer("left-closed", last)  # by hand, at the front panel
        assert {str(channel) for channel in box.closed()} == {str(kind.channels[0]), last}
        box.select([kind.channels[0]])
        assert emulator.relays.closed == [str(kind.channels[0])]
        box.close_link()


IGNORED = [("707b", "exclusiveclose", BoardFault), ("3706a", "exclusiveclose", BoardFault)]
IGNORED += [("34970a", "ROUT:CLOS", Misbehaved), ("relay-card", "writeall", Misbehaved)]


@pytest.mark.parametrize(("name", "command", "error"), IGNORED)
def test_fault_16_a_command_that_is_ignored(name: str, command: str, error: type[LabError]) -> None:
    kind = BOXES[name]
    emulator = kind.emulator()
    with kind.serve(emulator, f"ignore on {command}") as address:
        box = switch_box(settings(kind, address, deadline="100 ms"))
        with pytest.raises(error):  # noqa: PT012 - at which of them is not the point
            box.open()
            box.select([kind.channels[0]])
        assert emulator.relays.closed == []
        box.close_link()


QUEUED = {name: kind for name, kind in BOXES.items() if kind.counts}
each_with_a_queue = pytest.mark.parametrize("kind", QUEUED.values(), ids=QUEUED)


@each_with_a_queue
def test_fault_15_an_error_queue_without_an_end(kind: Kind) -> None:
    with kind.serve(kind.emulator(), "errors") as address:
        box = switch_box(settings(kind, address))
        with pytest.raises(BoardFault, match="more than 50 errors"):
            box.open()
        box.close_link()


@each_with_a_queue
def test_fault_15_what_others_left_in_the_queue_is_not_ours(kind: Kind) -> None:
    emulator = kind.emulator()
    emulator.receive(b"nonsense(")
    with kind.serve(emulator) as address:
        box = opened(kind, address)
        box.select([kind.channels[0]])
        box.close_link()


def test_fault_15_an_error_of_a_step_fails_it() -> None:
    kind = BOXES["34970a"]
    emulator = kind.emulator()
    with kind.serve(emulator) as address:
        box = opened(kind, address)
        emulator.receive(b"ROUT:SCAN (@101)")
        with pytest.raises(BoardFault, match=r"refuses opening all channels.*committed to scan"):
            box.select([101])
        box.close_link()


WRONG_CARDS = [
    (BOXES["34970a"], {1: "34905A"}, 'slot 1 has "34905A" in it'),
    (BOXES["34970a"], {2: "34901A"}, 'slot 1 has "0" in it'),
    (BOXES["707b"], {2: "7072"}, "slot 1 is empty"),
    (BOXES["3706a"], {4: "3720"}, "slot 1 is empty"),
]


@pytest.mark.parametrize(("kind", "cards", "told"), WRONG_CARDS)
def test_fault_35_the_wrong_card(kind: Kind, cards: dict[int, str], told: str) -> None:
    emulator = kind.emulator(cards=cards)
    with kind.serve(emulator) as address:
        box = switch_box(settings(kind, address))
        with pytest.raises(BoardFault, match=told):
            box.open()
    assert emulator.relays.cycles.total() == 0


@pytest.mark.parametrize(
    ("name", "emulator", "channel", "told"),
    [
        ("34970a", partial(Keysight34970A, cards={1: "34902A"}), 117, "34902A in slot 1 has no channel 117"),
        ("relay-card", partial(RelayCard, count=8), 8, "it has no relay 8"),
    ],
)
def test_fault_35_a_card_with_too_few_channels(name: str, emulator: Any, channel: int, told: str) -> None:
    with on_tcp(emulator()) as address, pytest.raises(BoardFault, match=told):
        switch_box(settings(BOXES[name], address, [channel])).open()


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [("3706a", {}, 'it is "MODEL 707B"'), ("707b", {"serial": "2"}, 'its serial number is "1290001"')],
)
def test_fault_14_another_instrument_answers(name: str, more: dict[str, object], told: str) -> None:
    emulator = Keithley707B()
    emulator.suffer("left-closed", "1A01")
    with on_tcp(emulator) as address, pytest.raises(BoardFault, match=told):
        switch_box(settings(BOXES[name], address, **more)).open()
    assert emulator.relays.closed == ["1A01"], "what is somebody else's is not touched"


def test_fault_14_a_port_that_is_no_relay_card() -> None:
    with on_tcp(Keysight34970A()) as address, pytest.raises(LabError):
        switch_box(settings(BOXES["relay-card"], address, deadline="200 ms")).open()


@each_kind
def test_fault_44_two_owners(kind: Kind) -> None:
    with kind.serve(kind.emulator()) as address:
        box = opened(kind, address)
        other = switch_box(settings(kind, address))
        with pytest.raises(InUse):
            other.open()
        box.select([kind.channels[0]])
        box.close_link()
        other.open()
        other.close_link()


LINK_FAULTS = {
    "drop 1 from 8": BoardGone,
    "silence from 8": BoardHung,
    "garbage 20 from 8": BoardFault,
    "flood 3000000 from 8": BoardFault,
}


@pytest.mark.parametrize(("script", "error"), LINK_FAULTS.items(), ids=LINK_FAULTS)
@each_kind
def test_fault_1_a_link_that_fails(kind: Kind, script: str, error: type[LabError]) -> None:
    if kind.serve is on_pty and "drop" in script:
        error = BoardHung  # a terminal line has no end
    with kind.serve(kind.emulator(), script) as address:
        box = switch_box(settings(kind, address, deadline="100 ms"))
        with pytest.raises(error):  # noqa: PT012 - at which of them is not the point
            box.open()
            box.select([kind.channels[0]])
        box.close_link()


@pytest.mark.parametrize("reply", ["", "2", "0,1", "nan,0,0", "x", "1E9", "gg", "1A01,,", "ÿ"])
@each_kind
def test_a_state_that_is_none_is_a_fault(kind: Kind, reply: str) -> None:
    script = f"say {reply} on CLOS?; say {reply} on getclose; say {reply} on readall"
    with kind.serve(kind.emulator(), script) as address:
        box = switch_box(settings(kind, address, deadline="200 ms"))
        try:
            box.open()
        except Misbehaved:
            return
        finally:
            box.close_link()
        assert kind.emulator in (Keithley707B, Keithley3706A)
        assert reply == ""  # nothing is closed


# ---- the table of a bench file -------------------------------------------------------------------


WRONG_TABLES = [
    ({"channels": []}, "channels"),
    ({"channels": [101, 101]}, "channel 101 stands for two sites"),
    ({"channels": [[101, 102], [102, 101]]}, "channel 101, 102 stands for two sites"),
    ({"channels": [1.5]}, "channels"),
    ({"chanels": [101]}, 'did you mean "channels"'),
    ({"settle": 0.1}, "settle"),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG_TABLES)
def test_a_table_that_says_something_else(wrong: dict[str, object], told: str) -> None:
    table = {"class": "drivers.keysight_34970a:Keysight34970A", "address": "tcp://h:1", "channels": [101]}
    with pytest.raises(BadConfig, match=told):
        build(table | wrong, SwitchSettings, "test")


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("34970a", [99]),
        ("34970a", ["101"]),
        ("707b", [1001]),
        ("707b", ["1I01"]),
        ("3706a", [99]),
        ("relay-card", [-1]),
    ],
)
def test_channels_of_another_box_are_refused(kind: str, channels: list[object]) -> None:
    with pytest.raises(Refused, match="has no"):
        switch_box(settings(BOXES[kind], "tcp://127.0.0.1:1", channels))


@pytest.mark.parametrize("path", ["drivers.nothing:Box", "drivers.links.tcp:TcpLink", "no"])
def test_a_class_that_is_no_switch_box(path: str) -> None:
    table = {"class": path, "address": "tcp://h:1", "channels": [101]}
    with pytest.raises(Refused):
        switch_box(build(table, SwitchSettings, "test"))


# ---- transcripts ---------------------------------------------------------------------------------


def session(kind: Kind, address: str, **more: object) -> None:
    """Open, one site, two, all open."""
    box = opened(kind, address, **more)
    box.select([kind.channels[0]])
    box.select(kind.channels[1:])
    box.cycles()
    box.open_all()
    box.close_link()


def record(name: str, file: Path) -> None:
    """A new transcript of a session with an emulator."""
    with on_tcp(BOXES[name].emulator(Terminals(Resistors((1e3, 2e3, 3e3))))) as address:
        session(BOXES[name], address, record=str(file))


@pytest.mark.parametrize("name", [name for name in BOXES if name != "relay-card-pty"])
def test_every_byte_is_as_it_was_recorded(name: str, tmp_path: Path) -> None:
    stored = TRANSCRIPTS / f"{name}.txt"
    session(BOXES[name], f"replay:{stored}")
    record(name, tmp_path / "new.txt")
    new = (tmp_path / "new.txt").read_text().partition("\n")[2]
    assert new == stored.read_text().partition("\n")[2]


# ---- in front of a source-measure unit -----------------------------------------------------------


@each_kind
def test_one_instrument_reaches_several_devices(kind: Kind) -> None:
    ohms = (10e3, 22e3, 47e3)
    terminals = Terminals(Resistors(ohms))
    box, meter = kind.emulator(terminals), Keithley2600(terminals)
    with kind.serve(box) as switches, on_waiting_tcp(meter) as address:
        switch = {"class": kind.driver, "address": switches, "channels": kind.channels}
        board = SourceBoard(build({"address": address, "switch": switch}, SourceBoard.Settings, "test"))
        assert board.spec.columns == 3
        with board:
            pulses = [
                select(board.spec, site, square(0.1, 5e-3, 1e-5), Purpose.READ) for site in (2, 0, 1, 0)
            ]
            traces = board.apply(pulses)
            found = [
                1 / conductance(board.spec, pulse, trace, site)
                for pulse, trace, site in zip(pulses, traces, (2, 0, 1, 0), strict=True)
            ]
            assert found == pytest.approx([ohms[site] for site in (2, 0, 1, 0)], rel=0.01)
            assert sum(trace.settle_seconds for trace in traces) >= 4 * board.spec.settle_seconds
            box.suffer("stuck-open", str(kind.channels[1]))
            with pytest.raises(BoardFault) as caught:
                board.apply(pulses)
            assert len(caught.value.traces) == 2
            assert caught.value.outputs is Outputs.OFF
            assert not meter.smu.output
        assert terminals.closed == set()
