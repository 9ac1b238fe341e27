#!/bin/sh
# Make .venv ready to work, on a machine that has nothing but Python: `make` calls this when
# pyproject.toml is newer than .venv/base, or that than .venv/ready. Whatever the system lacks is installed
# with apt where there is apt, in one call; elsewhere the message says which package to install.
#
#   sh tools/setup.sh base    labctl and all its extras but `aware`, whose torch takes a minute
#   sh tools/setup.sh ready   that too, and what the tests need
#
#   PYTHON          the interpreter to use; without it, the first of the usual names that is new enough
#   LABCTL_NGSPICE  the ngspice library to load; without it, the one that the engine finds
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
        if new_enough "$name"; then echo "$name"; return; fi
        test -z "${PYTHON:-}" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
    done
    fail "no Python 3.11 or newer here; install one, or name it: make PYTHON=/path/to/python3.12"
}

# Debian splits ensurepip from Python, and `venv` fails without it.
has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# The engine itself is asked; a stranger of that name does not count.
has_ngspice() { "$python" -P sim_backend/engine_child.py >/dev/null 2>&1; }

# The scripts of a virtual environment name the folder that it was made in.
moved() { test -e .venv/base && test "$(cat .venv/base)" != "$(pwd -P)"; }

apt_packages() {
    has_venv || "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    test -n "${LABCTL_NGSPICE:-}" || has_ngspice || echo libngspice0
}

apt_install() {
    as_root=
    if test "$(id -u)" != 0; then
        command -v sudo >/dev/null || fail "not root and no sudo; as root: apt-get install $*"
        as_root=sudo
    fi
    say "setup: installing with apt: $*"
    $as_root apt-get update -qq || say "setup: apt-get update failed; trying with the lists that are here"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$@" >&2 || fail "apt could not install: $*"
}

venv_help() {
    fail "$python cannot make virtual environments: it lacks ensurepip.
  Debian, Ubuntu   apt-get install $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
  elsewhere        name another Python: make PYTHON=/path/to/python3"
}

ngspice_help() {
    test -z "${LABCTL_NGSPICE:-}" || fail "LABCTL_NGSPICE=$LABCTL_NGSPICE is not a library of ngspice"
    fail "the shared library of ngspice is missing.
  Debian, Ubuntu   apt-get install libngspice0
  Fedora           dnf install libngspice
  macOS            brew install libngspice
  conda            conda install -c conda-forge ngspice-lib
If it is installed and not found, name it:
  export LABCTL_NGSPICE=\$(brew --prefix)/lib/libngspice.dylib
  export LABCTL_NGSPICE=\$CONDA_PREFIX/lib/libngspice.so"
}

python=$(find_python)
if command -v apt-get >/dev/null; then
    packages=$(apt_packages)
    # shellcheck disable=SC2086  # a list of words
    test -z "$packages" || apt_install $packages
fi
has_venv || venv_help
has_ngspice || ngspice_help

if moved || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then "$python" -m venv --clear .venv; fi
case "${1:-ready}" in
    base) what='.[fast,discovery,cluster]' told= ;;
    ready) what='.[test]' told=', and what its tests need,' ;;
    *) fail "$1 is not to be had; base or ready is" ;;
esac
say "setup: installing labctl and what it needs$told into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable "$what"
test -e .venv/base || pwd -P >.venv/base
pwd -P >".venv/${1:-ready}"
