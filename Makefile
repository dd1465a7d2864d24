# Everything a developer or CI runs. `make` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The environment of the container: what requirements.txt locks and nothing else.
$(VENV)/.container: requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; on Debian: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# On top of it what the tests, the checks and the demo's S3 need.
$(VENV)/.dev: requirements-dev.txt requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; on Debian: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.container

demo: $(VENV)/.dev  ## start the server, send the sample recordings, print the transcripts, stop
	$(BIN)/python scripts/demo.py

serve: $(VENV)/.container  ## keep a server with the demo model running on :8080
	$(BIN)/python serve

test: $(VENV)/.dev  ## run the tests: no network, no GPU
	$(BIN)/python -m pytest

check: $(VENV)/.dev  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy app.py inference.py gunicorn.conf.py
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## measure speed and memory, write docs/benchmarks.md's records
	$(BIN)/python scripts/benchmark.py --write

lock: $(VENV)/.dev  ## lock the requirements anew
	for name in requirements requirements-gpu requirements-dev requirements-train; do \
		$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $$name.in -o $$name.txt; done

clean:  ## remove what was made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build

.PHONY: help demo serve test check format bench lock clean
