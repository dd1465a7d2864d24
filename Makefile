# Everything a developer or CI runs. `make` lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

define NEEDS_PYTHON
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	echo "make: this needs Python 3.11; on Debian 12: apt-get install python3.11 python3.11-venv" >&2; exit 1; }
endef

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The environment of the container: what requirements.txt locks and nothing else.
$(VENV)/.container: requirements.txt
	$(NEEDS_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# On top of it what the tests, the checks and the demo's S3 need.
$(VENV)/.dev: requirements-dev.txt requirements.txt
	$(NEEDS_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.container

# On top of that what the benchmark needs: the peer it is measured against, and plots.
$(VENV)/.bench: requirements-bench.txt requirements-dev.txt requirements.txt
	$(NEEDS_PYTHON)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@ $(VENV)/.dev $(VENV)/.container

demo: $(VENV)/.dev  ## start the server, send the sample recordings, print the transcripts, stop
	$(BIN)/python scripts/demo.py

serve: $(VENV)/.container  ## keep a server with the demo model running on :8080
	$(BIN)/python serve

EMULATE ?=
emulate: $(VENV)/.dev  ## SageMaker on localhost for boto3 and the AWS CLI: endpoints, queue, autoscaling
	$(BIN)/python scripts/emulate.py $(EMULATE)

test: $(VENV)/.dev  ## run the tests: no network, no GPU
	$(BIN)/python -m pytest

# An environment of its own: PyTorch takes gigabytes, and mistral-common wants another numpy.
VOXTRAL_VENV := .venv-voxtral
$(VOXTRAL_VENV)/.voxtral: requirements-voxtral.txt requirements-dev.txt
	$(NEEDS_PYTHON)
	test -x $(VOXTRAL_VENV)/bin/python || $(PYTHON) -m venv $(VOXTRAL_VENV)
	for lock in requirements-dev.txt requirements-voxtral.txt; do \
		$(VOXTRAL_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $$lock || exit 1; done
	@touch $@

test-voxtral: $(VOXTRAL_VENV)/.voxtral  ## run the tests that need PyTorch, which `make test` skips
	$(VOXTRAL_VENV)/bin/python -m pytest --timeout 300 tests/engine_contract tests/engines/test_families.py tests/engines/test_voxtral*.py tests/http_contract/test_voxtral.py

check: $(VENV)/.dev  ## format, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy app.py inference.py gunicorn.conf.py
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.bench  ## measure speed and memory, write docs/benchmarks.md's records
	$(BIN)/python scripts/benchmark.py --write

BIG_INPUT ?= --emulate --save docs/benchmarks/big-input.json
big-input: $(VENV)/.dev  ## transcribe 1 GB through the emulator and watch the container's memory (minutes)
	$(BIN)/python scripts/measure_big_input.py $(BIG_INPUT)

FUZZ_FILES ?= 2500
FUZZ_SERVED ?= 300
FUZZ_EXAMPLES ?= 50
SEED ?= 1
fuzz: $(VENV)/.dev  ## damaged files and requests that nobody means, by the thousand (minutes)
	$(BIN)/python -m tests.fuzz.audio --files $(FUZZ_FILES) --served $(FUZZ_SERVED) --save build/reliability/fuzz-audio.json
	$(BIN)/python -m tests.fuzz.routes --examples $(FUZZ_EXAMPLES) --seed $(SEED) --save build/reliability/fuzz-http.json

ROUNDS ?= 6
chaos: $(VENV)/.dev  ## kill, cut, fill and flood a server while honest callers call (minutes)
	$(BIN)/python -m tests.chaos.chaos --rounds $(ROUNDS) --seed $(SEED) --save build/reliability/chaos.json

MINUTES ?= 20
soak: $(VENV)/.bench  ## load and faults for MINUTES; plots memory, open files, threads, temporary files
	$(BIN)/python -m tests.chaos.soak --minutes $(MINUTES) --seed $(SEED) --save build/reliability/soak.json \
		--samples build/reliability/soak.samples --plot build/reliability/soak.png

lock: $(VENV)/.dev  ## lock the requirements anew
	for name in requirements requirements-gpu requirements-parakeet requirements-parakeet-gpu requirements-voxtral requirements-dev \
			requirements-bench requirements-train requirements-audit; do \
		excludes=; [ ! -f $$name.excludes ] || excludes="--excludes $$name.excludes"; \
		$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $$excludes $$name.in -o $$name.txt; done

# An environment of its own: what asks about the locks shall not be pinned by them.
build/audit/.made: requirements-audit.txt
	$(NEEDS_PYTHON)
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
	@touch $@

audit: build/audit/.made  ## ask PyPI which locked versions have known faults; needs the network
	for lock in requirements*.txt; do \
		build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$lock || exit 1; done

clean:  ## remove what was made
	rm -rf $(VENV) $(VOXTRAL_VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build

.PHONY: help demo serve emulate test test-voxtral check format bench big-input fuzz chaos soak lock audit clean
