# Every target sets up what it needs: on a fresh Debian or Ubuntu with Python 3.11 or newer, `make demo` is all.

VENV_PYTHON := .venv/bin/python
DEMO ?= train examples/letters.toml --bench benches/network-cr-ngspice.toml

.PHONY: help demo data test bench lint format clean
.DEFAULT_GOAL := help

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: .venv/base ## train the 9-3-1 network on the ngspice board
	.venv/bin/labctl $(DEMO)

data: .venv/ready ## fetch the 10,000 digits that large networks are trained on
	$(VENV_PYTHON) tools/data.py

test: .venv/ready ## run every test and doctest; ARGS="-k name" for some
	$(VENV_PYTHON) -m pytest $(ARGS)

bench: .venv/peers ## measure speed, side by side with other programs
	$(VENV_PYTHON) -m benchmarks $(ARGS)

lint: .venv/ready ## check style, types and the direction of imports
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV_PYTHON) -m pyright --pythonpath $(VENV_PYTHON)
	.venv/bin/lint-imports --no-logo

format: .venv/ready ## rewrite the code in the house's format
	$(VENV_PYTHON) -m ruff check --fix
	$(VENV_PYTHON) -m ruff format

clean: ## remove what make made: the environment and the caches, never a run
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment knows its folder: in a checkout that was moved or copied, it is made ready again.
ifneq "$(shell cat .venv/base 2>/dev/null)" "$(CURDIR)"
.PHONY: .venv/base
endif

.venv/base: pyproject.toml tools/setup.sh
	@sh tools/setup.sh base

.venv/ready: .venv/base
	@sh tools/setup.sh ready

.venv/peers: .venv/ready tools/peers.sh
	@sh tools/peers.sh && touch $@ || echo "bench: other programs could not be installed; their rows say so" >&2
