# Everything a newcomer needs: `make demo` shows the main job, `make test` runs the tests.
# Both set up their own environment in .venv and need only Python 3 (with venv and pip) and make.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# One process a core; those of one server together.
PYTEST_ARGS ?= -n auto --dist loadgroup

.PHONY: help demo test test-all soak soak-inprocess e2e e2e-next web screenshots lint types bench sandbox man reference dist completion deb package-test clean

help:
	@echo "make demo     captured alerts open, update and close tickets on a local BlueRockTEL"
	@echo "make test     the tests that everybody runs: each part, each flow, a sample of the rest (3 minutes)"
	@echo "make test-all all of them; those whose server or browser is not here are skipped"
	@echo "make soak     random events under random faults through real processes (SECONDS=60 SEED=...)"
	@echo "make soak-inprocess  the same in one process, exactly repeatable (EVENTS=20000 SEED=...)"
	@echo "make e2e      the tests that drive real monitoring servers (Debian: run tests/e2e/packages.sh first)"
	@echo "make e2e-next the same tests on Debian 13's servers, in build/debian-13 (as root; apt install mmdebstrap)"
	@echo "make web      the tests of the web page, in a browser (Debian: apt install chromium)"
	@echo "make screenshots  the pictures in docs/images (apt install pngquant as well)"
	@echo "make lint     ruff, and the formatting"
	@echo "make types    mypy, strict"
	@echo "make bench    the figures, against a naive script (some minutes, on a quiet machine)"
	@echo "make sandbox  a local BlueRockTEL to try against"
	@echo "make man      the manual pages, in build/man/"
	@echo "make reference  what docs/ has from the code, written anew"
	@echo "make dist     wheel and sdist, in dist/"
	@echo "make completion  completion for bash and zsh, in build/completion/"
	@echo "make deb      the Debian package, in dist/ (completions: build/completion, pages: build/man)"
	@echo "make package-test  installs, upgrades and purges it in a clean Debian 12 and 13, and follows the pages (as root)"
	@echo "make clean    removes what these made"

demo: $(VENV)/.ready
	@$(BIN)/python -m brtel_notify demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest --short $(PYTEST_ARGS)

test-all: $(VENV)/.browser
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# What went wrong prints the line that plays it again. SOAK_ARGS=--keep goes on after it.
SECONDS ?= 60
EVENTS ?= 20000
JOBS ?= $(shell nproc)
SOAK = PYTHONPATH=tests $(BIN)/python -m soak $(SOAK_ARGS) $(if $(SEED),--seed $(SEED)) $(if $(SEASON),--season $(SEASON))

soak: $(VENV)/.ready
	$(SOAK) --seconds $(SECONDS)

soak-inprocess: $(VENV)/.ready
	$(SOAK) --inprocess --events $(EVENTS) --jobs $(JOBS)

e2e: $(VENV)/.ready
	BRTEL_NOTIFY_E2E=required $(BIN)/python -m pytest tests/e2e $(PYTEST_ARGS)

e2e-next: $(VENV)/.ready
	PYTHONPATH=tests $(BIN)/python tests/on_debian.py 13 tests/e2e $(PYTEST_ARGS)

web: $(VENV)/.browser
	BRTEL_NOTIFY_E2E=required $(BIN)/python -m pytest tests/web $(PYTEST_ARGS)

screenshots: $(VENV)/.browser
	PYTHONPATH=tests:tests/e2e $(BIN)/python tests/web/screenshots.py docs/images

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

sandbox: $(VENV)/.ready
	$(BIN)/python -m brtel_notify sandbox

lint: $(VENV)/.linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.linters
	$(BIN)/mypy

man: $(VENV)/.ready
	@$(BIN)/python packaging/make_man.py build/man

reference: $(VENV)/.ready
	@$(BIN)/python packaging/make_reference.py

dist: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build

completion: $(VENV)/.ready
	@$(BIN)/python packaging/make_completion.py build/completion

deb: dist man completion
	$(BIN)/python packaging/make_deb.py dist

package-test: deb
	BRTEL_NOTIFY_PACKAGE=required $(BIN)/python -m pytest tests/package $(PYTEST_ARGS)
	PYTHONPATH=tests $(BIN)/python tests/on_debian.py 12 tests/package/test_page_to_ticket.py
	PYTHONPATH=tests $(BIN)/python tests/on_debian.py 13 tests/package/test_page_to_ticket.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready: setup.cfg pyproject.toml
	@echo "setting up $(VENV) (once)..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox,test]'
	@touch $@

$(VENV)/.browser: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	@touch $@

$(VENV)/.linters: $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@
