# The two commands of the README are `make demo` and `make test`; both set up .venv on first use.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
SITE := $(VENV)/.site
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

DOCS := docs/build/html

.PHONY: docs reference demo test test-slow portable fuzz faults lint format bench clean

demo: $(STAMP)
	$(BIN)/neurocompare demo --out demo_run

# One worker a core and one thread a worker: more threads than cores would wait for each other.
test test-slow: export OMP_NUM_THREADS = 1

# What to run before a commit; test-slow has the rest, and CI runs both.
test: $(TOOLS)
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slow'

test-slow: $(TOOLS)
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

# The numeric tests on the code of other processors, on one thread and two, and with another NumPy.
portable: $(TOOLS)
	$(BIN)/python -m tests.portable

# Damaged input for every reader, N times each.
N ?= 400
fuzz: $(TOOLS)
	$(BIN)/python -m tests.fuzz -n $(N)

# What a run outlives: kills, signals, full disks and other surroundings.
faults: $(TOOLS)
	$(BIN)/python -m tests.faults

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The site, with its examples run; a warning is an error.
docs: $(SITE)
	$(BIN)/python -m sphinx --jobs auto --builder html --fail-on-warning --keep-going --quiet docs $(DOCS)

# Pages of the site that follow from the program: commands, study keys, columns of tables.
reference: $(TOOLS)
	$(BIN)/python docs/generate.py

bench: $(TOOLS)
	$(BIN)/python -m tests.benchmarks

# torch goes first, at the pinned version, so that no later request can bring a GPU build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "neurocompare needs Python 3.11 or newer; name one with `make PYTHON=/path/to/python`")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) --editable '.[render,imagenet]'
	touch $@

# What only the tests and the linters need, and what only the site needs.
$(TOOLS): $(STAMP)
	$(INSTALL) --editable '.[dev,nwb,cluster]'
	touch $@

$(SITE): $(STAMP)
	$(INSTALL) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) demo_run .pytest_cache .ruff_cache docs/api docs/build docs/examples docs/studies
