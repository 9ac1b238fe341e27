"""A session recorded once is a test for ever: the first byte that differs fails it."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.languages.scpi import Scpi
from drivers.links import connect
from drivers.links.recording import Recorder, Replay
from drivers.links.transcript import HEAD, escaped, read
from labctl.errors import (
    BadData,
    BoardFault,
    BoardGone,
    BoardHung,
    LabError,
    Refused,
    StorageFault,
    Unavailable,
)
from tests.memory_link import MemoryLink
from tests.peers import Line, lines, over_tcp

REPLIES = {
    b":SOUR:VOLT?\n": b"1.0E-07\n",
    b"*IDN?\n": b"MAKER,MODEL,1,2\r\n",
    b":DATA?\n": b"#14\x00\n\\\xff\n",
    b":HANG?\n": b"1.",
}


def answer(message: bytes) -> bytes:
    return REPLIES.get(message, b"")


def session(scpi: Scpi) -> list[object]:
    """What a driver does, and what it hears."""
    scpi.link.open()
    heard: list[object] = [scpi.identity(), scpi.set(":SOUR:VOLT", 1e-7), scpi.ask_block(":DATA?", 1.0)]
    with pytest.raises(BoardHung) as raised:
        scpi.ask(":HANG?")
    return [*heard, raised.value.wrong]


def recorded(folder: Path) -> Path:
    link = Recorder(MemoryLink(answer, seed=1), folder / "session.txt")
    session(Scpi(link))
    link.close()
    return folder / "session.txt"


def test_a_recording_is_a_text_for_people(tmp_path: Path) -> None:
    head, *rows = recorded(tmp_path).read_text("ascii").splitlines()
    assert head.startswith(f"{HEAD}memory, 2")
    assert rows == [
        "> *IDN?",
        r"< MAKER,MODEL,1,2\r",
        "> :SOUR:VOLT 1e-07",
        "> :SOUR:VOLT?",
        "< 1.0E-07",
        "> :DATA?",
        "< #1\\",
        "< 4\\",
        r"< \x00\n\\\xff" + "\\",
        "< ",
        "> :HANG?",
        '!< hung memory did not answer within 2 s; 2 bytes came: "1."',
    ]


def test_a_replay_answers_as_the_instrument_did(tmp_path: Path) -> None:
    file = recorded(tmp_path)
    replay = connect(f"replay:{file}")
    assert isinstance(replay, Replay)
    assert replay.address == f"replay:{file}"
    assert session(Scpi(replay)) == session(Scpi(MemoryLink(answer)))
    assert replay.left == 0
    replay.finish()
    replay.close()


def test_a_session_over_a_real_socket_is_recorded_and_replayed(tmp_path: Path) -> None:
    def echo(line: Line) -> None:
        for question in lines(line):
            line.sendall(b"<" + question + b">\n")

    with over_tcp(echo) as port:
        link = connect(f"tcp://127.0.0.1:{port}", record=str(tmp_path / "session.txt"))
        heard = [link.ask(b"%d\n" % n) for n in range(5)]
        link.close()
        link.write(b"again\n")
        heard.append(link.read())
        link.close()
    replay = Replay(tmp_path / "session.txt")
    assert [replay.ask(b"%d\n" % n) for n in range(5)] + [replay.ask(b"again\n")] == heard
    replay.finish()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"*IDN!\n", r"""byte 5 of "\*IDN!\\n" is b'!' \(0x21\); in the recording it is b'\?' \(0x3f\)"""),
        (b"*IDN?", r"byte 6 of .* is the end; in the recording it is b'\\n' \(0x0a\)"),
        (b"*IDN?\n\n", r"byte 7 of .* is b'\\n' \(0x0a\); in the recording it is the end"),
        (b"", r"byte 1 of .* is the end"),
    ],
)
def test_the_first_byte_that_differs_is_named(tmp_path: Path, sent: bytes, told: str) -> None:
    replay = Replay(recorded(tmp_path))
    with pytest.raises(BoardFault, match=told) as raised:
        replay.write(sent)
    assert "line 2" in str(raised.value)
    for again in (
        lambda: replay.write(b"*IDN?\n"),
        replay.read,
        replay.finish,
        lambda: replay.read_exactly(1),
    ):
        with pytest.raises(BoardFault, match=told):
            again()


def test_every_other_byte_fails_a_replay(tmp_path: Path) -> None:
    file = recorded(tmp_path)
    sent = b":SOUR:VOLT 1e-07\n"
    for at in range(len(sent)):
        replay = Replay(file)
        replay.ask(b"*IDN?\n")
        with pytest.raises(BoardFault, match=f"byte {at + 1} of .* byte {at + 7} of all"):
            replay.write(sent[:at] + bytes([sent[at] ^ 1]) + sent[at + 1 :])


def test_what_is_left_out_or_added_fails_a_replay(tmp_path: Path) -> None:
    file = recorded(tmp_path)
    replay = Replay(file)
    replay.write(b"*IDN?\n")
    with pytest.raises(BoardFault, match="to read first"):
        replay.write(b":SOUR:VOLT 1e-07\n")
    replay = Replay(file)
    with pytest.raises(BoardFault, match="was sent"):
        replay.read()
    replay = Replay(file)
    replay.ask(b"*IDN?\n")
    with pytest.raises(BoardFault, match="lines of the recording are left"):
        replay.finish()
    replay = Replay(file)
    session(Scpi(replay))
    with pytest.raises(BoardFault, match="the recording ends"):
        replay.write(b"more\n")
    replay = Replay(file)
    with pytest.raises(BoardFault, match="at most 3 bytes"):
        replay.ask(b"*IDN?\n", most=3)


def test_failures_are_replayed(tmp_path: Path) -> None:
    with over_tcp(lambda line: line.recv(64)) as port:
        link = connect(f"tcp://127.0.0.1:{port}", seconds=5.0, record=str(tmp_path / "gone.txt"))
        with pytest.raises(BoardGone):
            link.ask(b"?\n")
        link.close()
    with pytest.raises(Unavailable):
        link.write(b"!\n")
    link.close()
    replay = Replay(tmp_path / "gone.txt")
    with pytest.raises(BoardGone):
        replay.ask(b"?\n")
    with pytest.raises(Unavailable):
        replay.write(b"!\n")
    replay.finish()


def test_no_recording_is_written_over(tmp_path: Path) -> None:
    file = recorded(tmp_path)
    before = file.read_bytes()
    for path in (tmp_path / "no" / "folder.txt", tmp_path):
        with pytest.raises(Refused, match="cannot be made to record into"):
            connect("tcp://127.0.0.1:1", record=str(path))
    connect("tcp://127.0.0.1:1", record=str(file))
    connect("tcp://127.0.0.1:1", record=str(file))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {file.name, f"{file.stem}-2{file.suffix}", f"{file.stem}-3{file.suffix}"}
    assert file.read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")  # noqa: PTH110
def test_fault_46_a_full_disk_is_told_once_and_keeps_nobody_from_switching_off(tmp_path: Path) -> None:
    wire = MemoryLink(answer)
    link = Recorder(wire, tmp_path / "session.txt")
    link._path = Path("/dev/full")
    with pytest.raises(StorageFault, match="the recording ends here"):
        link.write(b":SOUR:VOLT 1e-07\n")
    assert wire.sent == [b":SOUR:VOLT 1e-07\n"]
    link.write(b":OUTP OFF\n")
    assert link.ask(b":SOUR:VOLT?\n") == b"1.0E-07"
    link.close()


@given(st.binary(max_size=200))
def test_any_bytes_are_written_and_read_back(data: bytes) -> None:
    text = escaped(data)
    assert text.isascii()
    assert text.isprintable() or not text


@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=50)), max_size=10))
def test_any_session_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, bytes]]
) -> None:
    file = tmp_path_factory.mktemp("recordings") / "session.txt"
    rows = "".join(f"{mark} {escaped(data)}\n" for mark, data in said)
    file.write_text(f"{HEAD}x\n{rows}", encoding="ascii")
    assert [(line.mark, line.data) for line in read(file)] == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing\n",
        f"{HEAD}x\n> a",
        f"{HEAD}x\n? a\n",
        f"{HEAD}x\n>a\n",
        f"{HEAD}x\n> \\q\n",
        f"{HEAD}x\n> \x1b\n",
        f"{HEAD}x\n> a\r\n",
        f"{HEAD}x\n> é\n",
        f"{HEAD}x\n!< what a pity\n",
        f"{HEAD.replace('1', '2')}x\n> a\n",
    ],
)
def test_what_is_no_recording_is_bad_data(tmp_path: Path, text: str) -> None:
    file = tmp_path / "session.txt"
    file.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(BadData):
        Replay(file)


@given(st.binary(max_size=300))
def test_no_file_does_worse_than_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("recordings") / "session.txt"
    file.write_bytes(HEAD.encode() + b"x\n" + data)
    with suppress(LabError):
        Replay(file).ask(b"?\n")
