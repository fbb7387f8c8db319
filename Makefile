# Everything a newcomer needs: `make demo` shows the main job, `make test` runs the tests.
# Both set up their own environment in .venv and need only Python 3 (with venv and pip) and make.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# One process a core; those of one server together.
PYTEST_ARGS ?= -n auto --dist loadgroup

.PHONY: help demo test e2e lint types bench sandbox dist clean

help:
	@echo "make demo     captured alerts open, update and close tickets on a local BlueRockTEL"
	@echo "make test     the tests"
	@echo "make e2e      the tests that drive real monitoring servers (Debian: run tests/e2e/packages.sh first)"
	@echo "make lint     ruff, and the formatting"
	@echo "make types    mypy, strict"
	@echo "make bench    the figures, against a naive script (some minutes, on a quiet machine)"
	@echo "make sandbox  a local BlueRockTEL to try against"
	@echo "make dist     wheel and sdist, in dist/"
	@echo "make clean    removes what these made"

demo: $(VENV)/.ready
	@$(BIN)/brtel-notify demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest $(PYTEST_ARGS)

e2e: $(VENV)/.ready
	BRTEL_NOTIFY_E2E=required $(BIN)/python -m pytest tests/e2e $(PYTEST_ARGS)

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

sandbox: $(VENV)/.ready
	$(BIN)/brtel-notify sandbox

lint: $(VENV)/.linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.linters
	$(BIN)/mypy

dist: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready: setup.cfg pyproject.toml
	@echo "setting up $(VENV) (once)..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox,test]'
	@touch $@

$(VENV)/.linters: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@
