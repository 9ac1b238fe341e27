#!/bin/sh
# Install the programs that `make bench` sets beside this one, into .venv: `sh tools/peers.sh`.
# Nothing else needs them. They go in without what they only draw with: badcrossbar's pictures want
# pycairo, which is compiled against libcairo2-dev and pkg-config, and its solver does not.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
    badcrossbar==1.1.0 pathvalidate==3.3.1 neospice==0.2.0
