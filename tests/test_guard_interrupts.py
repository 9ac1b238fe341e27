"""Ctrl-C at any bytecode of opening, driving and leaving a guarded board leaves nothing on.

LABCTL_STEP sets which positions are tried: every 211th unless told, all of them with 1.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from labctl.places import SHARED_VARIABLE

STEP = int(os.environ.get("LABCTL_STEP", "211"))
ROOT = Path(__file__).resolve().parent.parent


def test_fault_38_an_interrupt_at_any_bytecode_leaves_nothing_on(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.interrupting", "1", str(STEP)],
        cwd=ROOT,
        env={**os.environ, SHARED_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + 20_000 / STEP,
    )
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    assert not rows[-1]["raised"]  # the last one came to the end of the program
    assert rows[-1]["count"] > 5_000
    assert any(row["driven"] for row in rows[:-1])
    assert [row for row in rows if not row["off"]] == []
    assert [row for row in rows if row["left"]] == []
