# Short names for what a developer does all day; `make check` is what CI runs after installing.
PYTHON ?= .venv/bin/python

.PHONY: check lint test audit
check: lint audit test

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports

# Known vulnerabilities of the pinned packages; where pip-audit or its database is not to be had, it says so and passes.
audit:
	@if ! $(PYTHON) -m pip_audit --version >/dev/null 2>&1; then \
	  echo "NOT AUDITED: pip-audit is not installed (pip install pip-audit)"; \
	elif ! $(PYTHON) -c "import urllib.request as u; u.urlopen('https://api.osv.dev', timeout=5)" 2>&1 | grep -q "HTTP Error"; then \
	  echo "NOT AUDITED: the vulnerability database cannot be reached"; \
	else $(PYTHON) -m pip_audit --vulnerability-service osv --no-deps --disable-pip -r constraints.txt; fi

# The test runner's line comes last.
test:
	$(PYTHON) -m pytest --cov --cov-report=term:skip-covered

