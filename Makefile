# Everything here runs in .venv with the pinned versions of requirements/, and needs Python >= 3.11, git and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
LAB ?= $(CURDIR)/.lab
CONTAINERS ?= $(CURDIR)/.containers
# About half a minute of computing on a lab of three virtual Pis of half a core.
DEMO_SAMPLES_PER_POD ?= 18000000

# Ansible and its tools call each other by name; a caller's own Ansible settings stay out.
export PATH := $(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

.PHONY: setup
setup: $(VENV)/.run ## Install what a benchmark needs into .venv

# uv checks every hash, as pip does, and unpacks the collections in seconds instead of a minute.
$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("pi-speedup needs Python 3.11 or later, and $(PYTHON) is " + sys.version.split()[0] + ". Next: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	touch $@

$(VENV)/.run: requirements/run.txt $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/run.txt
	touch $@

$(VENV)/.dev: requirements/dev.txt $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements/dev.txt
	touch $@ $(VENV)/.run

.PHONY: demo
demo: lab-up ## Measure three virtual Pis against one, from nothing to the speedup
	$(BIN)/ansible-playbook -i $(LAB)/inventory.yml benchmark.yml -e benchmark_samples_per_pod=$(DEMO_SAMPLES_PER_POD)
	@echo
	@echo "The report:           runs/latest/report.md and report.json"
	@echo "Take it away again:   $(VENV:$(CURDIR)/%=%)/bin/ansible-playbook -i $(LAB:$(CURDIR)/%=%)/inventory.yml cleanup.yml"
	@echo "End the lab:          make lab-down"

.PHONY: lab-up
lab-up: $(VENV)/.dev ## Start the lab, unless it runs: real Kubernetes with three virtual Pis
	$(BIN)/python -m virtual_cluster status --dir $(LAB) > /dev/null 2>&1 \
	  || $(BIN)/python -m virtual_cluster up --pis 3 --cpus 0.5 --dir $(LAB)

.PHONY: containers-up
containers-up: $(VENV)/.dev ## Start three Pis one can log in to, as containers: needs Docker
	$(BIN)/python -m virtual_cluster containers up --dir $(CONTAINERS)

.PHONY: containers-down
containers-down: $(VENV)/.dev ## Remove those Pis
	$(BIN)/python -m virtual_cluster containers down --dir $(CONTAINERS)

.PHONY: lab-down
lab-down: $(VENV)/.dev ## End the lab and remove all of it
	$(BIN)/python -m virtual_cluster down --dir $(LAB)

.PHONY: test
test: lint unit lab-tests molecule container-tests ## Prove all of it: linters, unit tests, tests on virtual Pis of both kinds

.PHONY: lint
lint: $(VENV)/.dev ## Run the linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --strict

.PHONY: unit
unit: $(VENV)/.dev ## Run the unit tests
	$(BIN)/pytest tests/unit

# First, and by itself: its progress would be hidden by a test's.
.PHONY: kubernetes
kubernetes: $(VENV)/.dev ## Build Kubernetes for the lab, once per user
	$(BIN)/python -m virtual_cluster build

.PHONY: lab-tests
lab-tests: kubernetes ## Run the tests that need a lab
	$(BIN)/pytest tests/lab

.PHONY: molecule
molecule: kubernetes ## Run the molecule scenarios on labs of their own
	for scenario in $(filter-out containers,$(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))); do $(BIN)/molecule test -s "$$scenario"; done

# Told apart from a failure, for a machine without Docker is nothing to mend; but nothing is left out in CI.
.PHONY: container-tests
container-tests: kubernetes ## Run the tests that need Pis one can log in to: Docker and root
	@if [ "$${CI:-}" = true ] || { [ "$$(id -u)" = 0 ] && docker version > /dev/null 2>&1; }; then \
	  $(BIN)/pytest tests/containers && $(BIN)/molecule test -s containers; \
	else \
	  echo "LEFT OUT: the tests on containers need root and a running Docker daemon"; \
	fi

.PHONY: overhead
overhead: $(VENV)/.dev ## Compare a whole run with a bare kubectl script, side by side
	$(BIN)/python benchmarks/overhead.py

.PHONY: scale
scale: $(VENV)/.dev ## Compare what a run costs the control host with 100 Pis and with three
	$(BIN)/python benchmarks/scale.py

.PHONY: pins
pins: $(BIN)/uv ## Resolve the pins of requirements/ anew
	for name in uv run dev; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" \
	  --output-file requirements/$$name.txt requirements/$$name.in; done

.PHONY: clean
clean: ## Remove .venv and what tools left; runs/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .ansible
