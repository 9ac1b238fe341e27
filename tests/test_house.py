"""The rules of the house, each as a test: whose code runs, which way imports point, how code looks."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("labctl", "drivers", "sim_backend")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

HEAVY = {"PySpice", "matplotlib", "numba", "numpy", "pydantic", "pyvisa", "rich", "scipy", "sklearn", "torch"}
MAY_START_PROCESSES = {"labctl/guard/process.py", "labctl/study/workers.py", "sim_backend/engine.py"}
STARTS_A_PROCESS = re.compile(
    r"os\.(exec|fork|popen|posix_spawn|spawn|startfile|system)|asyncio\.(create_)?subprocess"
    r"|concurrent\.futures\.(ProcessPool|process)|(multiprocessing|pty|subprocess)\b"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python with these arguments in the checkout."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, text=True, capture_output=True, check=False, timeout=300
    )


def assert_clean(*arguments: str) -> None:
    """A tool found nothing to say against the code; what it found is the message."""
    ended = run(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module imports or reaches through an import, in full, and its line."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name
                imported |= {name.asname: name.name} if name.asname else {head(name.name): head(name.name)}
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield node.lineno, f"{node.module}.{name.name}"
                imported[name.asname or name.name] = f"{node.module}.{name.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and head(dotted := ast.unparse(node)) in imported:
            yield node.lineno, imported[head(dotted)] + dotted.removeprefix(head(dotted))


def head(dotted: str) -> str:
    """`os` of `os.path.join`."""
    return dotted.partition(".")[0]


def process_starters(source: str) -> list[str]:
    """What in this source would start a process, as `line: name`."""
    return [f"{line}: {name}" for line, name in names(ast.parse(source)) if STARTS_A_PROCESS.match(name)]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def in_checkout(path: Path) -> str:
    """The path as one names it in the checkout; also the name of a test's case."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_imported_package_is_the_one_of_this_checkout(package: str) -> None:
    file = importlib.import_module(package).__file__
    assert file is not None
    assert Path(file).resolve().parent == ROOT / package


def test_imports_point_one_way() -> None:
    assert_clean("-c", "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])")


def test_code_keeps_the_rules_of_style() -> None:
    assert_clean("-m", "ruff", "check", "--no-cache")


def test_code_has_the_format_of_the_house() -> None:
    assert_clean("-m", "ruff", "format", "--check", "--no-cache")


def test_types_are_strict_and_right() -> None:
    assert_clean("-m", "pyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("path", SOURCES, ids=in_checkout)
def test_only_the_engine_and_the_guard_start_processes(path: Path) -> None:
    if in_checkout(path) not in MAY_START_PROCESSES:
        assert process_starters(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system('true')",
        "import os as o\nif o.fork() == 0: pass",
        "from os import posix_spawn as start\nstart('true', [], {})",
        "import os\nrun = os.execvp",
        "import subprocess",
        "from multiprocessing.connection import Pipe",
        "from concurrent.futures import ProcessPoolExecutor",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "import asyncio\nasyncio.create_subprocess_exec('true')",
    ],
)
def test_a_started_process_is_noticed(source: str) -> None:
    assert process_starters(source)


@pytest.mark.parametrize(
    "source", ["import os\nos.fsync(0)", "system = 1\nposition.fork", "from concurrent.futures import Future"]
)
def test_what_starts_no_process_is_left_alone(source: str) -> None:
    assert process_starters(source) == []


@pytest.mark.parametrize("path", SOURCES, ids=in_checkout)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    longest = max(functions(path), key=lambda f: (f.end_lineno or 0) - f.lineno, default=None)
    assert lines <= 300
    assert longest is None or (longest.end_lineno or 0) - longest.lineno < 40, longest.name


def test_help_imports_nothing_heavy() -> None:
    ended = run(
        "-c",
        "import sys\nfrom labctl.cli import main\nsys.argv = ['labctl', '--help']\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "print('imported:', *sorted(sys.modules))",
    )
    assert ended.returncode == 0, ended.stderr
    shown, _, imported = ended.stdout.rpartition("imported:")
    assert "train" in shown
    assert not HEAVY & set(imported.split())
