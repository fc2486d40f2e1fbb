# Short names for what a developer does all day; `make check` is what CI runs after installing.
PYTHON ?= .venv/bin/python

.PHONY: check lint test
check: lint test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports

# The test runner's line comes last.
test:
	$(PYTHON) -m pytest --cov --cov-report=term:skip-covered

