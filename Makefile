# Short names for what a developer does all day; `make check` is what CI runs after installing.
PYTHON ?= .venv/bin/python
# Tests that run side by side, one core each.
WORKERS ?= 2

.PHONY: check lint test coverage audit docs screenshots
check: lint audit test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports

# What is installed against what is recorded, and known vulnerabilities of that where they can be looked up.
audit:
	$(PYTHON) .ci/audit.py

# Each worker takes whole files, the longest first (tests/conftest.py): what a file's tests share is made once. The test
# runner's line comes last.
PYTEST = $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test:
	$(PYTEST)

# The same tests, and which lines none of them reaches; counting takes time of its own.
coverage:
	$(PYTEST) --cov --cov-report=term:skip-covered

# The documentation site, from docs/ and the code, so always as a whole; any warning fails.
docs:
	$(PYTHON) -m sphinx -E -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

# The pages that the tests open in a browser, as pictures: wide and narrow, light and dark.
screenshots:
	mkdir -p docs/_build/screenshots
	NLPTL_SCREENSHOTS=$(CURDIR)/docs/_build/screenshots $(PYTHON) -m pytest -q tests/docs/test_site.py tests/reports/test_page.py
