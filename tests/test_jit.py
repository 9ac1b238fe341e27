"""Where machine code is kept: numba runs what it finds there, so it must be nobody else's to write."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sim_backend import jit

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, on a machine whose user has no cache."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_it_is_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = jit._cache_folder("")
    assert folder.parent == tmp_path / "labctl"
    assert folder == jit._cache_folder("")


def test_numba_keeps_to_the_folder_that_the_user_named(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    code = "import numba, os, sim_backend.jit\nprint(numba.config.CACHE_DIR, os.environ['NUMBA_CACHE_DIR'])"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert told.stdout.split() == [str(jit._cache_folder(str(tmp_path))), str(tmp_path)]
    assert [folder.parent for folder in tmp_path.iterdir()] == [tmp_path]


def test_without_a_cache_it_is_a_folder_that_is_ours_alone(temporary: Path) -> None:
    folder = jit._cache_folder("")
    assert folder.parent == temporary / f"labctl-{os.getuid()}"
    assert mode(folder.parent) == 0o700
    assert folder == jit._cache_folder("")


def test_a_folder_that_others_can_write_to_is_left_alone(temporary: Path) -> None:
    planted = temporary / f"labctl-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    folder = jit._cache_folder("")
    assert planted not in folder.parents
    assert mode(folder) == 0o700
    assert not list(planted.iterdir())


def test_a_link_is_not_followed(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (temporary / f"labctl-{os.getuid()}").symlink_to(elsewhere)
    assert elsewhere not in jit._cache_folder("").resolve().parents
    assert not list(elsewhere.iterdir())


def test_a_folder_of_somebody_else_is_left_alone(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    (temporary / f"labctl-{somebody}").mkdir(mode=0o700)  # made by this process: not theirs
    assert jit._cache_folder("").name.startswith("labctl-")
    assert jit._cache_folder("").parent == temporary
