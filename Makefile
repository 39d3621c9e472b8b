.PHONY: help setup demo cmapss test test-dev test-slow test-all test-unity lint format bench bench-run golden lock clean template new lab lab-smoke
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
JARS := $(VENV)/.jars
PYTEST = $(BIN)/python -m pytest -q --numprocesses 2 --dist loadgroup
INPUT ?=
SENSORS ?=
DATA ?= data/cmapss
SET ?= FD001
DIR ?=
NAME ?=
CONFIG ?=
ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) $(JARS) ## install all packages into .venv, unless it is complete

$(STAMP): requirements.lock pyproject.toml dev/pyproject.toml
	@scripts/check_java.sh
	@python=$$(scripts/check_python.sh) || exit 1; \
	  test -x $(BIN)/python || { echo "making $(VENV)"; $$python -m venv $(VENV); }
	@echo "installing the locked packages (some minutes the first time)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . --editable dev
	@touch $@

# The first start of Spark fetches Delta's jars into a cache, and writes the file with which Java starts faster.
$(JARS): $(STAMP)
	@echo "fetching Delta's jars, and writing a file with which Java starts faster (a minute)"
	@$(BIN)/sensor-streams doctor --quiet --faster-starts
	@touch $@

demo: setup ## simulate a fleet, train, run all eight streams, verify (INPUT=folder SENSORS=file: your own data)
	@$(BIN)/sensor-streams demo $(if $(INPUT),--input "$(INPUT)") $(if $(SENSORS),--sensors "$(SENSORS)")

cmapss: setup ## stream NASA's turbofan engines (DATA=folder SET=FD001)
	@$(BIN)/sensor-streams cmapss --data "$(DATA)" --set "$(SET)"

test: setup ## test features, inference, streams and job files: before a deploy
	@$(PYTEST) -m "not slow and not unity" tests $(ARGS)

test-dev: setup ## test the machinery: ingestion, engine, runtime, bundle reader, local runner, preflight
	@$(PYTEST) -m "not slow and not unity" dev/tests $(ARGS)

test-slow: setup ## test faults with real processes, replays, lost checkpoints
	@$(PYTEST) -m slow tests dev/tests $(ARGS)

test-all: setup ## run every test but those of the Unity Catalog server
	@$(PYTEST) -m "not unity" tests dev/tests $(ARGS)

test-unity: setup ## test preflight with a real Unity Catalog server (built with cargo the first time: 15 minutes)
	@server=$$(scripts/unity_server.sh) && UNITY_SERVER="$$server" $(BIN)/python -m pytest -q -m unity $(ARGS)

lint: setup ## run ruff and mypy, check directions of imports, plain English and job files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/plain_english.py
	@$(BIN)/sensor-streams check --all

format: setup ## fix and format the code with ruff
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## measure the speed next to rivals, an hour (ARGS="--only P1" for one, ARGS="--table" for the results)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-run: setup ## measure the cost of the job runner itself
	@$(BIN)/python -m benchmarks.runner $(ARGS)

lab: setup ## break the three job shapes for real and draw a report, two hours (ARGS="--only query-fails" for less)
	@$(BIN)/sensor-streams lab matrix $(ARGS); code=$$?; $(BIN)/sensor-streams lab report; exit $$code

lab-smoke: setup ## four incidents of the lab in three shapes
	@$(BIN)/sensor-streams lab matrix --smoke --again $(ARGS)

golden: setup ## write the resolved jobs of each target for review
	@$(BIN)/python -m tests.policies.golden

template: setup ## build the template of this project, for databricks bundle init
	@$(BIN)/python -m sensor_streams_dev.new_project template

new: setup ## make your own project (DIR=folder NAME=name; CONFIG=file of answers)
	@$(BIN)/python -m sensor_streams_dev.new_project new --dir "$(DIR)" --name "$(NAME)" --config "$(CONFIG)"

lock: ## resolve the packages of this machine and of the cluster again (needs uv)
	uv pip compile --quiet pyproject.toml dev/pyproject.toml --extra test --generate-hashes --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --output-file requirements.lock
	@python=$$(scripts/check_python.sh) && "$$python" scripts/lock_cluster.py

clean: ## remove the files of demo and tests, also tables
	rm -rf .local dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
