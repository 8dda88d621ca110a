# Two commands matter: `make serve` runs the service with an edit ready to try, `make test` runs all tests.
# Both set up what they need; nothing is installed by hand.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Rebuilt when what is to be installed changes.
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup serve test test-slow check lint types format docs nano evaluate dist clean

help:  ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Make .venv and install the pinned dependencies, the service and nano

$(STAMP): pyproject.toml constraints.txt checkpoints/nano/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; install Python 3.11, or say make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on \
		--constraint constraints.txt --editable checkpoints/nano --editable ".[serve,dev]"
	# The tests run the hosted service's client in two releases, and install the wheels without a network.
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --upgrade --target $(VENV)/segmind-1.1.0 segmind==1.1.0
	$(BIN)/python -m pip download --disable-pip-version-check --quiet --constraint constraints.txt --dest $(VENV)/wheelhouse httpx
	@touch $(STAMP)

serve: setup  ## Run the service on http://127.0.0.1:8000
	@exec $(BIN)/openkontext serve

check: lint types  ## Lint and types

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

format: setup  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: check  ## All tests but the slow ones, in under ten minutes on two cores
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

test-slow: setup  ## Chaos and soak tests
	$(BIN)/python -m pytest -m slow

docs: setup  ## Rewrite the tables of the docs from the code
	$(BIN)/python docs/tables.py

nano: setup  ## Train nano from nothing (hours on a CPU), evaluate it and write checkpoints/nano
	$(BIN)/python -m training.make_nano

evaluate: setup  ## Score the nano that is there on held-out pictures and phrasings
	$(BIN)/python -m training.evaluate

dist: setup  ## Build the wheels and source distributions into dist/
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist checkpoints/nano

clean:  ## Remove what was built; the data stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
