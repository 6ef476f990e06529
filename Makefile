# Everything a person or CI does, by one name each. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# Tests wait for servers and databases as much as they compute, so more of them run than there are cores.
WORKERS ?= $(shell $(BIN)/python -c 'import os; print(len(os.sched_getaffinity(0)) * 3 // 2)' 2>/dev/null || echo auto)

# Installing leaves compiling to the first import; without its files each of many processes would compile anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test coverage check dev bench lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## make .venv with the pinned dependencies and the program

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("oms-hub needs Python 3.11 or newer; set PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## run the whole flow on practice channels and print the reports
	$(BIN)/oms-hub demo

test: install ## run every test that this machine allows
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

coverage: install ## run every test with branch coverage, and hold it against the limits
	rm -f .coverage .coverage.*
	$(MAKE) test PYTEST_ARGS='--cov --cov-report='
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --include='oms_hub/domain/*,oms_hub/reports/*' --fail-under=100

check: install ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

dev: install ## Dagster's UI and daemon on the same store
	$(BIN)/oms-hub dev

bench: install ## side by side with a named peer, as ratios
	benchmarks/run

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra celery --universal --python-version 3.11 \
	  --generate-hashes --no-strip-extras --no-header --quiet --output-file requirements.lock

clean: ## remove what the targets made, but not the store
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
