# Two commands from a fresh machine: `make demo` and `make test`. `make help` lists the others.

SHELL := /bin/bash
PYTHON ?= python3
# Scripts in .venv/bin can't have a long path in their first line: modules are called instead.
PY := .venv/bin/python
BOOTSTRAP = @command -v "$(PYTHON)" >/dev/null || \
	{ echo "error: there is no $(PYTHON)"; echo "  As root, run: apt-get install python3"; exit 2; } >&2; \
	"$(PYTHON)" -E -s -m ta_lab2.bootstrap
UV_VERSION := 0.13.9

# Another Python's settings would reach into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export DATA

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format lock bench docker-base clean uninstall venv

help: ## This list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 15

setup: ## Make .venv and install the system packages that are missing
	$(BOOTSTRAP)
	@echo "ready: try 'make demo', or '$(PY) -m ta_lab2 --help'"

demo: ## Show the whole thing on a synthetic market; DATA=file, folder or 'glob' takes real prices
	$(BOOTSTRAP)
	@if [ -z "$$DATA" ]; then set --; \
	elif [ -e "$$DATA" ]; then set -- "$$DATA"; \
	else IFS=; set -- $$DATA; fi; \
	exec $(PY) -m ta_lab2 demo "$$@"

# An engine is used only when it is asked for, because that may start one.
test test-all: export TA_LAB2_TEST_DOCKER := $(if $(filter-out 0 no,$(DOCKER)),1,$(TA_LAB2_TEST_DOCKER))
# What results are compared with. Its lock is complete: what the packages ask for is not read, since
# empyrical asks for a peewee without a wheel, and imports none.
COMPARISONS = @$(PY) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	--no-deps --require-hashes --only-binary=:all: -r requirements-comparisons.lock
COVERAGE = --cov --cov-report=term $(if $(ARGS),--cov-fail-under=0)

test: ## Run the tests; ARGS='-k word' picks some, DOCKER=1 adds those with a Docker engine
	$(BOOTSTRAP) --tests
	$(COMPARISONS)
	$(PY) -m pytest -n auto --no-loadscope-reorder -m 'not slow' $(COVERAGE) $(ARGS)

test-all: ## Run the tests, the slow ones too
	$(BOOTSTRAP) --tests
	$(COMPARISONS)
	$(PY) -m pytest -n auto --no-loadscope-reorder $(COVERAGE) $(ARGS)

lint: venv ## Check style, types, layers and SQL; every check runs, even after one that failed
	@status=0; try() { echo "lint: $$1"; shift; "$$@" || status=1; }; \
	try style $(PY) -m ruff check; \
	try format $(PY) -m ruff format --check; \
	try types $(PY) -m mypy; \
	try layers $(PY) -c 'from importlinter.cli import lint_imports_command as main; main()'; \
	try SQL .venv/bin/squawk --reporter gcc \
		--exclude require-lock-timeout,require-statement-timeout 'sql/**/*.sql'; \
	exit $$status

format: venv ## Format the code and mend what can be mended without asking
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

lock: venv ## Make requirements.lock from pyproject.toml and the public index; ARGS=--upgrade for newer
	$(PY) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore uv==$(UV_VERSION)
	env -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_INDEX -u UV_FIND_LINKS \
		$(PY) -m uv pip compile --no-config --universal --python-version 3.11 --generate-hashes \
		--no-header --extra calendars --extra charts --extra parquet --extra dev --extra exchanges --quiet $(ARGS) \
		pyproject.toml -o requirements.lock
	env -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_DEFAULT_INDEX -u UV_INDEX -u UV_FIND_LINKS \
		$(PY) -m uv pip compile --no-config --universal --python-version 3.11 --generate-hashes \
		--no-header --group comparisons --constraints requirements.lock \
		--overrides <(echo 'peewee>=3.19') --quiet $(ARGS) -o requirements-comparisons.lock

bench: venv ## Time it against two clients; writes benchmarks/RESULTS.md; ARGS='full day ingest ladder pipeline qlib strategies' picks
	$(COMPARISONS)
	$(PY) -m benchmarks $(ARGS)

docker-base: ## Make the image debian:trixie-slim here, for where no image registry answers
	docker/base.sh

clean: ## Remove .venv and the caches of the tools; databases stay
	rm -rf .venv .venv.lock .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +

uninstall: venv ## Remove this checkout's database for ever (it asks; YES=1 does not), then clean
	$(PY) -m ta_lab2 db destroy $(if $(YES),--yes)
	@$(MAKE) --no-print-directory clean

venv:
	$(BOOTSTRAP) --no-database
