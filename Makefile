# Every target makes the environment (.venv) first where it is missing or out of date.
# PYTHON=... picks another interpreter; newer than 3.10 means without Lava.
BIN := .venv/bin
PYTEST_FLAGS ?= -n 2 --dist loadfile
QUICK := not slow and not browser and not dask and not data and not lava
# Collection takes half the time where the bytecode of the tests is kept.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help env demo quick test test-portable coverage lint format types check clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

env:  ## make or update .venv
	@scripts/set_up.sh

demo: env  ## the whole story on bundled data, offline (OUT=folder, default runs/demo)
	$(BIN)/bl-neuro demo --jobs 2 $(if $(OUT),--out "$(OUT)")

quick: env  ## the quick tests, in a minute and a half (SINCE=main: only of what changed since then)
	@$(if $(SINCE),places=$$($(BIN)/python scripts/changed_tests.py $(SINCE)) || exit; \
	[ -n "$$places" ] || { echo "nothing that changed since $(SINCE) has tests"; exit; };) \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) -m "$(QUICK)" --durations 5 --durations-min 2 $$places $(T)

test: env  ## every test (T="..." adds pytest arguments)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS) $(T)

test-portable: env  ## every test, as on a processor without AVX
	OMP_NUM_THREADS=1 $(BIN)/python scripts/without_avx.py $(BIN)/python -m pytest $(PYTEST_FLAGS) $(T)

coverage: env  ## the share of the code that the quick tests run; fails below the floor in pyproject.toml
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest $(PYTEST_FLAGS) -m "$(QUICK)" $(T)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered

lint: env  ## style, docstrings, formatting, and which part imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

format: env  ## format and apply safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: env  ## static types
	$(BIN)/mypy

check: lint types test  ## lint, types and tests

clean:  ## remove build products and caches; keeps .venv and runs/
	rm -rf build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bl_neuro backends deploy tests scripts -type d -name __pycache__ -prune -exec rm -rf {} +
