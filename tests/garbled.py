"""What instruments say, and what may become of it on the way: for one seed, always the same reply."""

import math
import random
import struct

READINGS = (
    b"+1.000000E-07\n",
    b"-2.512345E-03,+1.000012E-06,+9.910000E+37,+2.541210E+02,+3.2E+04\n",
    b"0.2,1.234567e-06\r\n",
    b"1.00000e-01\t-2.34567e-06\n",
    b"+9.9E37\n",
    b"+9.910000E+37,+9.9100E+37\n",
    b"1e22\n",
    b"1\n",
    b"OFF\n",
    b'"CURR:DC"\n',
    b"VOLTAGE\n",
    b"KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C32   Oct  4 2010 14:20:11/A02  /K/J\n",
    b"Keysight Technologies,B2902B,MY61390123,5.0.2111.1518\n",
    b'0,"No error"\n',
    b'-113,"Undefined header;:SOUR:VOLTS"\n',
    b'+0,"No error;0,0,0"\n',
    b"0.00000e+00\tQueue Is Empty\t0.00000e+00\n",
    b"(@101,102,103)\n",
    b"#18" + struct.pack(">d", 1e-7) + b"\n",
    b"#216" + struct.pack(">2d", 0.1, math.nan) + b"\n",
    b"#3256" + bytes(range(256)) + b"\n",
)
"""As they come from the wire."""
PIECES = (
    b"#9999999999",
    b"#0",
    b"#12",
    b"#8-0000001",
    b"#5 1024",
    b"nan",
    b"inf",
    b"-Infinity",
    b"1_0",
    b"9.9E37",
    b"9.91E37",
    b"1E+23",
    b"1e999",
    b"1e-999",
    b"0x1p3",
    b"\x00",
    b"\x1b[2J",
    b"\x1b]0;title\x07",
    b"\xff\xfe",
    b"\x80",
    "１２٣".encode(),
    "\u202e".encode(),
    "µ".encode(),
    b"\r",
    b"\n",
    b"\n\n",
    b"\t",
    b"[link=file:///etc/passwd]",
    b"%s%n",
    b'"',
    b",",
    b",,",
    b"-",
    b"e",
    b".",
)
"""What is put in, over or between."""


def garbled(seed: int) -> bytes:
    """A reply, or some, with up to four changes."""
    dice = random.Random(seed)
    reply = dice.choice(READINGS)
    for _ in range(dice.randint(0, 4)):
        reply = dice.choice(_CHANGES)(reply, dice)
    return reply


def _cut(reply: bytes, dice: random.Random) -> bytes:
    return reply[: dice.randint(0, len(reply))]


def _behead(reply: bytes, dice: random.Random) -> bytes:
    return reply[dice.randint(0, len(reply)) :]


def _flip(reply: bytes, dice: random.Random) -> bytes:
    changed = bytearray(reply)
    for _ in range(dice.randint(1, 4)):
        if changed:
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _insert(reply: bytes, dice: random.Random) -> bytes:
    at = dice.randint(0, len(reply))
    return reply[:at] + dice.choice(PIECES) + reply[at:]


def _overwrite(reply: bytes, dice: random.Random) -> bytes:
    at, piece = dice.randint(0, len(reply)), dice.choice(PIECES)
    return reply[:at] + piece + reply[at + len(piece) :]


def _repeat(reply: bytes, dice: random.Random) -> bytes:
    return (reply * dice.choice((2, 3, 50)))[:5000]


def _lengthen(reply: bytes, dice: random.Random) -> bytes:
    return dice.choice((b"1", b"0", b" ", b"\x00", b"9,")) * dice.choice((10, 70, 3000)) + reply


def _join(reply: bytes, dice: random.Random) -> bytes:
    return reply.rstrip(b"\n") + dice.choice((b"", b",", b";")) + dice.choice(READINGS)


def _noise(reply: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(0, 60)) + (b"\n" if dice.random() < 0.8 else b"")


def _number(reply: bytes, dice: random.Random) -> bytes:
    value = struct.unpack(">d", dice.randbytes(8))[0]
    return dice.choice((b"%r\n", b"%.6E\n", b"+%g\n")) % value


_CHANGES = (_cut, _behead, _flip, _insert, _overwrite, _repeat, _lengthen, _join, _noise, _number)
