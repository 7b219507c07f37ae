# `make setup` once, then the others. `bash .ci/run` is everything that must hold before a change lands.
BIN := .venv/bin
.PHONY: help setup test fast lint format coverage bench serve wheel

help: ## list the targets
	@sed -nE 's/^([a-z]+): ## (.+)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make the virtual environment, with everything that tests need
	python3 -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'

test: ## run all tests
	$(BIN)/pytest

fast: ## run the tests that need no further process, browser, faults or build
	$(BIN)/pytest -n 3 -m "not slow"

lint: ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: ## run all tests and list the lines that none of them ran
	$(BIN)/pytest --cov --cov-report=term-missing:skip-covered

bench: ## measure against other implementations; what they need stands in docs/performance.md
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python -m bench

serve: ## start the service, with PostgreSQL inside it
	$(BIN)/todo serve

wheel: ## build the wheel into dist/
	$(BIN)/pip wheel --no-deps --no-build-isolation --wheel-dir dist .
