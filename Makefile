# Every target makes its own .venv from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_STAMP := $(VENV)/.ready-for-the-demo
STAMP := $(VENV)/.ready

.PHONY: demo test check bench setup clean
.DEFAULT_GOAL := demo

demo: $(DEMO_STAMP)  ## train on digits, certify 360 images under both noises, write the report
	$(BIN)/holdfast demo --out demo-output

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest

check: $(STAMP)  ## linters, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## speed of every network, backend and precision on this machine; takes about half an hour
	$(BIN)/python benchmarks/speed.py

setup: $(STAMP)  ## .venv with everything for development

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

$(DEMO_STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[report]'
	touch $@

$(STAMP): $(DEMO_STAMP)
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo-output
