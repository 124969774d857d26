# `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test check format bench gpu-session build docs

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Written last: an interrupted step is done again.
INSTALLED := $(VENV)/.installed
TYPED := $(VENV)/.typed

export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## make .venv and install Pliant in it, with every version pinned
	@echo 'Pliant is installed in $(VENV): next `make demo`, or $(BIN)/pliant --help'

demo: $(INSTALLED) ## meta-train, adapt to unseen objects, draw and film it: runs/demo/
	$(BIN)/python examples/demo.py

test: $(INSTALLED) ## run the tests, on two processes
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: $(TYPED) ## lint, format, types and the layers between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: $(INSTALLED) ## put the code into the house's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## measure speed, each figure beside its baseline
	$(BIN)/python -m benchmarks

gpu-session: $(INSTALLED) ## measure on an NVIDIA GPU in eight minutes: runs/gpu-session/
	$(BIN)/python -m benchmarks.gpu_session --out runs/gpu-session --into docs/performance.md

build: $(INSTALLED) ## build the wheel and the source distribution: dist/
	$(BIN)/hatchling build --clean

docs: $(INSTALLED) ## build the site of the documents, offline, warnings as errors: site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo 'open site/index.html'

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "make: $(PYTHON) is no Python >= 3.11; name one: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { echo "make: $(PYTHON) cannot make environments; the cure: sudo apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --requirement requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

# MuJoCo's extension modules carry no types. A partial stub package (PEP 561) beside
# them, drawn from the installed version, tells pyright what they hold.
$(TYPED): $(INSTALLED)
	@site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	for module in batch constants enums errors functions render specs structs; do \
	    $(BIN)/pybind11-stubgen --ignore-all-errors --root-suffix=-stubs \
	        --output-dir "$$site" "mujoco._$$module"; \
	done; \
	echo partial > "$$site/mujoco-stubs/py.typed"
	@touch $@
