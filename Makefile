# Each step of continuous integration is a target. `make help` lists them by purpose.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

RUN := .tools/bin/uv run --no-sync
PYTEST := $(RUN) pytest
PYTHON_TESTS := PYTHONPATH=tests $(RUN) python
CHECKED := operator plugins tests
# Tests run side by side: WORKERS=0 runs them one after the other, in this process.
WORKERS ?= 2
IN_PARALLEL := -n $(WORKERS) --dist worksteal
# Modules share a cluster, an operator, a database; each worker has a cluster of its own. Most of their time
# goes by in waiting, so there are more workers than cores.
BY_MODULE := -n $(if $(filter 0,$(WORKERS)),0,3) --dist loadfile --no-loadscope-reorder

##@ Try it
.PHONY: demo
demo: tools ## bring up cluster, PostgreSQL and operator, and run a proc (CONTEXT=name uses your own cluster)
	@$(PYTHON_TESTS) -m demo up $(if $(CONTEXT),--context $(CONTEXT))

.PHONY: demo-down
demo-down: tools ## remove all that `make demo` made
	@$(PYTHON_TESTS) -m demo down

##@ Quick loops
.PHONY: check
check: tools ## format, lint, types, layers
	$(RUN) ruff format --check $(CHECKED)
	$(RUN) ruff check $(CHECKED)
	$(RUN) mypy
	$(RUN) lint-imports --no-logo

.PHONY: unit
unit: tools ## rules, in seconds
	$(PYTEST) $(IN_PARALLEL) tests/unit

.PHONY: simulation
simulation: tools ## the whole runner on fakes with a virtual clock and injected crashes
	$(PYTEST) $(IN_PARALLEL) tests/simulation

.PHONY: format
format: tools ## format, and mend what the linter can
	$(RUN) ruff format $(CHECKED)
	$(RUN) ruff check --fix $(CHECKED)

##@ Against real parts
.PHONY: integration
integration: cluster-tools ## a real API server, a real PostgreSQL
	$(PYTEST) $(BY_MODULE) tests/integration

.PHONY: e2e
e2e: cluster-tools ## real pods on a real node; every example
	$(PYTEST) tests/e2e -m 'not soak'

.PHONY: faults
faults: cluster-tools ## crashes, cut wires, stopped servers, judged by an oracle (PROCTOR_FAULTS_SEED= replays)
	$(PYTEST) $(IN_PARALLEL) tests/faults -m 'not soak'

.PHONY: soak
soak: cluster-tools ## an hour of the same: logs of minutes and gibibytes, memory over time, every minute of years (PROCTOR_SOAK_MINUTES=10 for each long test, PROCTOR_SOAK_RATE=2 a second)
	$(PYTEST) tests/faults tests/e2e tests/soak -m soak -s

.PHONY: test
test: ## everything that CI runs, from an empty machine
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory simulation
	@$(MAKE) --no-print-directory integration
	@$(MAKE) --no-print-directory faults
	@$(MAKE) --no-print-directory e2e

.PHONY: bench
bench: BENCH ?= --schedules 6000
bench: cluster-tools ## executions beside raw Jobs on simulated nodes (BENCH="--burst 200" for a quick look)
	@$(PYTHON_TESTS) -m bench --json .bench.json $(BENCH)

##@ The local cluster
.PHONY: cluster-up cluster-down cluster-status
cluster-up: tools ## a cluster to play with (NAME=, LEVEL=api|simulated|full)
	@$(PYTHON_TESTS) -m localcluster up $(if $(NAME),--name $(NAME)) $(if $(LEVEL),--level $(LEVEL))

cluster-down: tools ## remove it
	@$(PYTHON_TESTS) -m localcluster down $(if $(NAME),--name $(NAME))

cluster-status: tools ## what runs
	@$(PYTHON_TESTS) -m localcluster status

.PHONY: cluster-tools
cluster-tools: tools ## build Kubernetes and Helm, once per machine
	@$(PYTHON_TESTS) -m localcluster build

##@ Upkeep
.PHONY: tools
tools: ## the project's Python environment
	@bash .ci/bootstrap

.PHONY: docs
docs: tools ## write the generated pages of docs/ anew
	$(RUN) python -m proctor_operator.app.settings_reference > docs/settings.md

.PHONY: clean
clean: ## remove what was built here (clusters and the demo have targets of their own)
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find operator plugins tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
