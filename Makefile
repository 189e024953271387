# Every target makes its own .venv from the pinned versions in constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_STAMP := $(VENV)/.ready-for-the-demo
STAMP := $(VENV)/.ready
DOCS_STAMP := $(VENV)/.ready-for-docs

.PHONY: demo test test-processors check docs wheel bench setup clean
.DEFAULT_GOAL := demo

demo: $(DEMO_STAMP)  ## train on digits, certify 360 images under both noises, write the report
	$(BIN)/holdfast demo --out demo-output

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest

# What computes networks, with the instructions of a processor that has AVX2 and nothing newer, and of one that has no
# vector instructions that torch knows. Inductor would take kernels of the other kind from a common cache. Engines are
# left out: their workers compute what the others do.
COMPUTING := tests/sampling tests/models tests/training tests/guarantees tests/attacks tests/bounds \
  --ignore=tests/sampling/test_engines.py --ignore=tests/sampling/test_ray_engine.py

test-processors: $(STAMP)  ## the tests that compute networks, as on a processor without AVX-512 and on one without AVX2
	set -e; for isa in avx2 default; do \
	  echo "torch computes with $$isa:"; \
	  ATEN_CPU_CAPABILITY=$$isa ONEDNN_MAX_CPU_ISA=AVX2 TORCHINDUCTOR_CACHE_DIR=$(CURDIR)/$(VENV)/inductor-$$isa \
	    $(BIN)/python -m pytest $(COMPUTING); \
	done

check: $(STAMP)  ## linters, types (of benchmarks and examples too), direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(DOCS_STAMP)  ## the documentation as a site in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wheel: $(STAMP)  ## wheel and source distribution in dist/, and the wheel tested in an empty environment outside of this folder
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python tools/check_wheel.py dist

bench: $(STAMP)  ## speed of every network, backend and precision on this machine
	@echo "On an idle core this takes about half an hour with AMX, and as long with AVX2 alone; the first line names the processor."
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
	# It asks for torchvision, whose operations no classifier has.
	$(PIP) --no-deps onnx2torch
	touch $@

$(DOCS_STAMP): $(DEMO_STAMP)
	$(PIP) --editable '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) demo-output dist site
