# One environment for everything; `make PYTHON=python3.12` uses another interpreter.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
BIN := $(VENV)/bin
DEMO ?= demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check format dashboard docs clean

help:
	@echo "make demo        build the environment, synthesize speech, run a small search"
	@echo "make test        the tests, without soaks: minutes; JOBS=8 in eight processes"
	@echo "make test-all    and the soaks: many kills, clusters, the browser at length, the tour"
	@echo "make check       lint, format and types"
	@echo "make dashboard   look at the demo's study in the browser"
	@echo "make docs        the documentation as a site, in site/"
	@echo "make clean       remove the environment and the demo"

# The stamp is newer than what it was installed from, or pip runs again.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("ternary-dse needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[synthesis,parquet,dashboard,test]'
	touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/dse data synthesize $(DEMO)/speech
	$(BIN)/dse search examples/demo.yaml --data $(DEMO)/speech --out $(DEMO)/study --cache $(DEMO)/cache

# Each file in one process: its tests share what is costly to make. The longest files begin first
# (LONGEST in tests/conftest.py).
# One thread a process: on two busy cores, threads of a small network wait for each other.
# Compiled files are kept, or each of the hundreds of processes compiles the whole program anew.
PYTEST = OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST)

test-all: setup
	$(PYTEST) -m "not short" --durations=25

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dashboard: setup
	$(BIN)/dse dashboard $(DEMO)/study

# A broken link is an error. To read it with its search: python3 -m http.server --directory site
docs: setup
	$(BIN)/python -m tests.test_reference
	$(BIN)/zensical build --strict

clean:
	rm -rf $(VENV) $(DEMO) site .cache
