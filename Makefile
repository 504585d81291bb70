# make demo   the whole way on a real scene, in a few minutes
# make fast   the tests that are over soon
# make test   every test
# make lint   style and types
# make check  all that must hold before a change is merged

PYTHON ?= python3
BIN := .venv/bin
# A worker a core; one that runs out of tests takes over the last of another's.
TEST := $(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: demo fast test lint check clean

demo: .venv/installed
	$(BIN)/hsi-ssl demo --overwrite

fast: .venv/installed
	$(TEST) -m "not slow"

test: .venv/installed
	$(TEST)

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info demo
