# Two commands for a newcomer: `make run` and `make test`.
.DEFAULT_GOAL := help
PYTHON ?= python3
# uv is used where it is installed; else it is installed into a folder of the project's own.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := .venv/bin

help: ## Say what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.uv/bin/uv:
	$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet uv

.venv/ready: pyproject.toml uv.lock $(filter .uv/%,$(UV))
	$(UV) sync --frozen --all-extras --python $(PYTHON)
	@touch $@

run: .venv/ready ## Replay the 2015 dengue outbreak of Taiwan, then say how to verify a record
	$(RUN)/tocsin demo --data-dir tocsin-demo

test: .venv/ready ## Run all tests, file by file on all cores
	$(RUN)/pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/ready ## Lint, types, layers
	$(RUN)/ruff check
	$(RUN)/mypy
	$(RUN)/lint-imports --no-cache

generate: .venv/ready ## Make anew what is generated from the code: schemas, reasons, diagrams, vectors
	for tool in tools/make_*.py; do $(RUN)/python $$tool; done

bench: .venv/ready ## Measure our cost beside its limits
	$(RUN)/tocsin bench

bench-net: .venv/ready ## Measure networks of many nodes beside their peers
	$(RUN)/tocsin bench net

soak: .venv/ready ## Faults on real processes: MINUTES=6 each on 4 and 7 validators and two levels; SEED=n replays
	$(RUN)/python -m tests.faults.run --minutes $(or $(MINUTES),6) $(if $(SEED),--seed $(SEED))
	$(RUN)/python -m tests.faults.tree --minutes $(or $(MINUTES),6) $(if $(SEED),--seed $(SEED))

.PHONY: help run test check generate bench bench-net soak
