# The commands of this repository; `make` alone lists them.
# They need Python 3.11 or later and make. Everything else is installed into .venv from requirements-dev.lock.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/installed
UV ?= $(BIN)/uv
# Two processes; the tests of a file stay in one, where they share what they have made.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

# One set of versions for all platforms and Pythons (`fewest`), so that what was tested is what everybody runs.
# A lock holds names, versions and hashes, and no place to fetch them from: each machine knows its own.
# The second lock is held to the first: tests run with what users get.
# Versions already in the lock stay; `make lock ARGS=--upgrade` takes the newest.
COMPILE = $(UV) pip compile --quiet --no-config --no-header --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links $(ARGS) pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format bench lock lock-check clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install the locked set into it (once; again when the lock changes)

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "setup: Autopilot needs Python 3.11 or later, but '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)." \
			"Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "Installing the locked packages; the first time this takes a minute or two ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@# The one need that is no Python package, LightGBM's: better said here than at the first fit.
	@$(BIN)/python -c 'import lightgbm' || { \
		echo "setup: LightGBM does not load (see above). If libgomp or libomp is missing, install it" \
			"(apt install libgomp1, dnf install libgomp, brew install libomp) and run make again." >&2; exit 1; }
	@touch $@

demo: setup ## fit, deploy, serve and watch a model of the 2013 New York flights
	$(BIN)/autopilot demo

test: setup ## run the tests and the examples in docstrings; ARGS="-k plan" picks some
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: setup ## run the tests that take long: kills, fuzzing, whole guides
	$(PYTEST) -m slow $(ARGS)

check: setup ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: setup ## put code into the house's format and mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## run the measurements
	$(BIN)/python -m bench $(ARGS)

lock: $(UV) ## write both lock files anew from pyproject.toml (needs the network)
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra dev --constraints requirements.lock --output-file requirements-dev.lock

lock-check: $(UV) ## say whether the lock files answer to pyproject.toml (needs the network)
	@rm -rf .venv/lock-check && mkdir -p .venv/lock-check
	@cp requirements.lock requirements-dev.lock .venv/lock-check/
	@$(COMPILE) --output-file .venv/lock-check/requirements.lock
	@$(COMPILE) --extra dev --constraints requirements.lock --output-file .venv/lock-check/requirements-dev.lock
	@diff requirements.lock .venv/lock-check/requirements.lock \
		&& diff requirements-dev.lock .venv/lock-check/requirements-dev.lock \
		|| { echo "lock-check: pyproject.toml asks for something else than the lock files hold; run: make lock" >&2; exit 1; }
	@! grep -nE '://|^ *--(extra-)?(index|find)' requirements.lock requirements-dev.lock \
		|| { echo "lock-check: a lock file names a place to fetch packages from; it must not" >&2; exit 1; }

# Only for a clone without .venv: an existing environment locks with the uv that it has.
$(BIN)/uv:
	@$(MAKE) setup

clean: ## remove the environment, caches and builds; stores with models stay
	rm -rf .venv build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
