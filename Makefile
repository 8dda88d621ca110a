# Two commands matter: `make serve` runs the service with an edit ready to try, `make test` runs all tests.
# Both set up what they need; nothing is installed by hand.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Rebuilt when what is to be installed changes.
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup serve tools test test-slow check lint types format docs screenshots nano evaluate lock audit dist \
	clean

help:  ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Make .venv and install the pinned dependencies, the service and nano

PIP := $(BIN)/python -m pip --disable-pip-version-check
# Every file by its hash, and nothing but what the lock names.
LOCKED := install --require-hashes --no-deps --progress-bar on

$(STAMP): pyproject.toml $(wildcard requirements/*.txt) checkpoints/nano/pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; install Python 3.11, or say make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# Where an index or folder that pip knows has the build for CPUs alone, that one: it is gigabytes smaller.
	$(PIP) $(LOCKED) --requirement requirements/torch-cpu.txt 2>/dev/null || echo "PyTorch comes from PyPI"
	$(PIP) $(LOCKED) --requirement requirements/dev.txt
	if $(BIN)/python requirements/wants_cuda.py; then $(PIP) $(LOCKED) --requirement requirements/cuda.txt; fi
	$(PIP) install --quiet --no-deps --no-build-isolation --editable checkpoints/nano --editable .
	$(PIP) check
	# The tests run the hosted service's client in two releases, and install the wheels without a network.
	$(PIP) install --quiet --require-hashes --no-deps --upgrade --target $(VENV)/segmind-1.1.0 --requirement requirements/segmind-1.1.0.txt
	$(PIP) download --quiet --require-hashes --no-deps --dest $(VENV)/wheelhouse --requirement requirements/sdk.txt
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

# Besides Python: the browser that the pages are tested in (CHROMIUM names another), and what their snippets call.
TOOLS := $(if $(CHROMIUM),,chromium) curl jq openssl

tools:  ## Install what the tests need besides, with apt-get, where this is root; else say how
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update --quiet && DEBIAN_FRONTEND=noninteractive \
		apt-get install --quiet --yes --no-install-recommends $$missing fonts-liberation; \
	else echo "error: the tests need$$missing; on Debian: sudo apt-get install$$missing fonts-liberation"; exit 1; fi

test: check tools  ## All tests but the slow ones, in under ten minutes on two cores
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

# In the order of their folders: chaos has few tests in a file, and long ones; xdist would begin them last, one after another.
test-slow: setup tools  ## Chaos and soak tests, and most of the pages'
	$(BIN)/python -m pytest -m slow tests/chaos tests/browser --numprocesses 2 --dist loadfile \
		--no-loadscope-reorder

docs: setup  ## Rewrite the tables of the docs from the code
	$(BIN)/python docs/tables.py

screenshots: setup tools  ## Take the pictures of the pages in docs/images anew
	$(BIN)/python -m docs.screenshots

nano: setup  ## Train nano from nothing (hours on a CPU), evaluate it and write checkpoints/nano
	$(BIN)/python -m training.make_nano

evaluate: setup  ## Score the nano that is there on held-out pictures and phrasings
	$(BIN)/python -m training.evaluate

lock:  ## Write the lock files in requirements/ anew; UPGRADE="name …" lets those packages get newer
	test -x $(VENV)-lock/bin/python || $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools httpx pip-audit
	$(VENV)-lock/bin/python requirements/lock.py $(UPGRADE)

audit:  ## Look the locked versions up among known vulnerabilities (needs the internet, and `make lock` once)
	$(VENV)-lock/bin/pip-audit --require-hashes --disable-pip --requirement requirements/dev.txt

dist: setup  ## Build the wheels and source distributions into dist/
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist checkpoints/nano

clean:  ## Remove what was built; the data stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
