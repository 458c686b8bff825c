# make env | run | test | lint | lock     (needs a python3 between 3.11 and 3.13, make and git)
.DEFAULT_GOAL := run
.PHONY: run test env lint lock schema figure captions

BIN := .venv/bin
CORES ?= all
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
    $(name) -c 'import sys; print("$(name)" if (3, 11) <= sys.version_info[:2] <= (3, 13) else "")' 2>/dev/null)))

run: env
	@$(BIN)/snakemake --cores $(CORES)
	@echo "The report: $(CURDIR)/results/outbreak/report.html"

test: env
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

env: .venv/ready

.venv/ready: requirements.lock
	@test -n "$(PYTHON)" || { echo "cinnflow needs Python 3.11, 3.12 or 3.13: no such python3 is on PATH." \
	    "Install one, or name it: make PYTHON=/path/to/python3.12 $(or $(MAKECMDGOALS),run)"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version); the first time takes a few minutes."
	@$(PYTHON) -m venv --clear .venv  # anew, since a set-up that was killed may have left anything
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

lint: env
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Resolves the versions anew, for every supported Python and platform at once (needs uv).
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --upgrade --extra cpu --extra dev pyproject.toml -o requirements.lock

# The JSON schema of configurations, from the models in src/cinnflow/config*.py.
schema: env
	$(BIN)/python -c "from cinnflow.config import schema; print(schema(), end='')" > workflow/schemas/config.schema.json

# The figure in the README: the default study's own.
figure: run
	cp results/outbreak/observations/school-1978/predictive.png workflow/models/outbreak/school-1978.png

# Captions of Snakemake's own report, from the modules in src/cinnflow/diagnostics.
captions: env
	$(BIN)/python -m cinnflow.report.captions
