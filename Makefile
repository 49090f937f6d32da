# Everything here runs in .venv with the pinned versions of requirements/, and needs Python >= 3.11, git and make.
#
# This folder's path may hold spaces, quotes and any letters. So targets are relative to it (make cannot have a space
# in one), recipes quote each path, and Python's programs start as `python -m`: a script's first line is limited.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
# Another one beside it: make VENV=.venv-3.13 PYTHON=python3.13 unit
VENV := .venv
override VENV := $(subst $(CURDIR)/,,$(VENV))
ifneq ($(words $(VENV)),1)
$(error VENV="$(VENV)": give one path without spaces, such as .venv-3.13)
endif
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
LAB ?= .lab
CONTAINERS ?= .containers
# Of computing in a trial; 7 rounds take two to four minutes, on a fast machine and on a slow one.
DEMO_SECONDS ?= 4

# Ansible and its tools call each other by name; a caller's own Ansible settings stay out.
export PATH := $(if $(filter /%,$(BIN)),$(BIN),$(CURDIR)/$(BIN)):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 17

# From a folder `wheels`, which `make wheels` filled, pip and uv take all they need without a network.
WHEELS := $(wildcard wheels)
ifneq ($(WHEELS),)
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(WHEELS)
endif

.PHONY: setup
setup: $(VENV)/.run ## Install what a benchmark needs into .venv

# What a next step calls what was typed.
inventory benchmark report cleanup: export PI_SPEEDUP_BY_MAKE := 1

.PHONY: inventory
inventory: $(VENV)/.run ## Write inventory/hosts.yml: make inventory ARGS="--server pi@192.168.1.101"
	@$(RUN) pi_speedup inventory $(ARGS)

.PHONY: benchmark
benchmark: $(VENV)/.run ## Measure the Pis of inventory/: make benchmark ARGS="-K -e benchmark_rounds=9"
	@$(BIN)/ansible-playbook benchmark.yml $(ARGS)

.PHONY: report
report: $(VENV)/.run ## Make the report of the latest run anew: make report ARGS="-e benchmark_run_id=ID"
	@$(BIN)/ansible-playbook report.yml $(ARGS)

.PHONY: cleanup
cleanup: $(VENV)/.run ## Remove all that a benchmark left in the cluster
	@$(BIN)/ansible-playbook cleanup.yml $(ARGS)

# For a machine without a network, of the same kind and with the same Python: copy the clone with this folder there.
.PHONY: wheels
wheels: $(BIN)/python ## Fetch into wheels/ what `make setup` and `make demo` install
	mkdir -p wheels
	env -u PIP_NO_INDEX -u PIP_FIND_LINKS $(RUN) pip download --quiet --disable-pip-version-check --require-hashes --dest wheels --requirement requirements/uv.txt
	env -u PIP_NO_INDEX -u PIP_FIND_LINKS $(RUN) pip download --quiet --disable-pip-version-check --require-hashes --no-deps --dest wheels --requirement requirements/lab.txt
	env -u PIP_NO_INDEX -u PIP_FIND_LINKS $(RUN) pip download --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: --dest wheels --requirement requirements/collection.txt

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit("pi-speedup needs Python 3.11 or later, and %s is %s. Next: make PYTHON=python3.11 ..." % (sys.executable, sys.version.split()[0]) if sys.version_info < (3, 11) else 0)'
	@"$(PYTHON)" -c 'import ensurepip' 2> /dev/null || { echo "$(PYTHON) cannot make a venv: it has no ensurepip. Next: sudo apt install python3-venv, then make setup" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(RUN) pip uninstall --quiet --yes setuptools 2> /dev/null  # Which Python 3.11 puts there.

# Lets `python -m pi_speedup` find src/. The path is relative: a .pth file is read in the locale's encoding, and this
# folder's path may hold letters that it lacks.
$(VENV)/.path: | $(BIN)/python
	$(BIN)/python -c 'import os, pathlib, sysconfig; site = sysconfig.get_path("purelib"); pathlib.Path(site, "pi_speedup.pth").write_text(os.path.relpath("src", site) + "\n", encoding="utf-8")'
	touch $@

$(VENV)/.collection: requirements/collection.txt requirements/collection.py | $(BIN)/python
	$(BIN)/python requirements/collection.py
	touch $@

# uv checks every hash, as pip does, in seconds instead of minutes. It is larger than most of what it installs, so it
# stays only where it is wanted (requirements/dev.in).
define install
	uv=$$(mktemp -d); trap 'rm -rf -- "$$uv"' EXIT; \
	$(RUN) pip install --quiet --disable-pip-version-check --no-compile --require-hashes --target "$$uv" --requirement requirements/uv.txt && \
	"$$uv/bin/uv" pip install --quiet $(WHEELS:%=--no-index --find-links %) --python $(BIN)/python --require-hashes --requirement $< \
	  || { echo "$< cannot be installed: the lines above say why. Next: make setup again where https://pypi.org is reached; without a network, see docs/offline.md" >&2; exit 1; }
endef

$(VENV)/.run: requirements/run.txt requirements/uv.txt $(VENV)/.path $(VENV)/.collection
	$(install)
	touch $@

$(VENV)/.lab: requirements/lab.txt requirements/uv.txt $(VENV)/.path $(VENV)/.collection
	$(install)
	touch $@ $(VENV)/.run

$(VENV)/.dev: requirements/dev.txt requirements/uv.txt $(VENV)/.path $(VENV)/.collection
	$(install)
	touch $@ $(VENV)/.lab $(VENV)/.run

.PHONY: demo
demo: lab-up ## Measure three virtual Pis against one, from nothing to the speedup
	$(RUN) ansible playbook -i "$(LAB)/inventory.yml" benchmark.yml -e benchmark_trial_seconds=$(DEMO_SECONDS)
	@echo
	@echo "The report:           runs/latest/report.html, report.md and report.json"
	@echo "Take it away again:   $(BIN)/ansible-playbook -i $(LAB)/inventory.yml cleanup.yml"
	@echo "End the lab:          make lab-down"

.PHONY: lab-up
lab-up: $(VENV)/.lab ## Start the lab, unless it runs: real Kubernetes with three virtual Pis
	$(RUN) virtual_cluster status --dir "$(LAB)" > /dev/null 2>&1 || $(RUN) virtual_cluster up --pis 3 --cpus 0.5 --dir "$(LAB)"

.PHONY: lab-down
lab-down: $(VENV)/.lab ## End the lab and remove all of it
	$(RUN) virtual_cluster down --dir "$(LAB)"

.PHONY: containers-up
containers-up: $(VENV)/.lab ## Start three Pis one can log in to, as containers: needs Docker
	$(RUN) virtual_cluster containers up --dir "$(CONTAINERS)"

.PHONY: containers-down
containers-down: $(VENV)/.lab ## Remove those Pis
	$(RUN) virtual_cluster containers down --dir "$(CONTAINERS)"

.PHONY: test
test: $(VENV)/.dev ## Prove all of it: linters, unit tests, tests on virtual Pis of both kinds
	for part in lint unit browser-tests kubernetes lab-tests molecule container-tests; do \
	  begin=$$SECONDS; $(MAKE) --no-print-directory "$$part"; echo "make $$part: $$((SECONDS - begin)) s"; \
	done

# What people run, and the rig; tests may be careless.
PYTHON_CODE := src files roles callback_plugins filter_plugins virtual_cluster benchmarks examples requirements conftest.py
# The oldest whose Jobs have backoffLimitPerIndex by default, and the newest that there is a schema for.
KUBERNETES_VERSIONS := 1.29 1.37
# - An image is pulled before the first trial, and the same one is meant in all of them: never Always.
# - A pod writes only its log, which the kubelet bounds (10 MiB), and its root file system is read-only.
KUBE_SCORE_EXCEPTIONS := $(addprefix --ignore-test ,container-image-pull-policy container-ephemeral-storage-request-and-limit)

.PHONY: lint
lint: $(VENV)/.dev ## Run the linters
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy
	PYTHONPATH=src $(BIN)/lint-imports
	$(RUN) yamllint --strict .
	$(RUN) ansiblelint --offline --strict
	$(BIN)/zizmor --offline --quiet --persona pedantic .github
	@echo bandit; $(RUN) bandit --quiet --severity-level medium --exclude '*/tests/*' --recursive $(PYTHON_CODE) 2>&1 \
	  | { grep -v 'nosec encountered .* but no failed test' || true; }
	git ls-files -z | xargs -0 $(RUN) detect_secrets.pre_commit_hook --exclude-files '^requirements/.*[.]txt$$|go[.]sum$$|image-inspect[.]txt$$'
	@echo kubernetes-validate, kube-score; manifests=$$(mktemp); trap 'rm -f -- "$$manifests"' EXIT; \
	PYTHONPATH=src:. $(RUN) tests.manifests > "$$manifests"; \
	$(RUN) kubernetes_validate --strict --quiet $(KUBERNETES_VERSIONS:%=-k %) "$$manifests"; \
	if command -v go > /dev/null; then \
	  go run github.com/zegl/kube-score/cmd/kube-score@v1.20.0 score --output-format ci --exit-one-on-warning $(KUBE_SCORE_EXCEPTIONS) "$$manifests" \
	    | { grep -vE '^\[(OK|SKIPPED)\]' || true; }; \
	else echo "LEFT OUT: kube-score needs Go"; fi
	@if command -v go > /dev/null; then echo actionlint; go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12; \
	else echo "LEFT OUT: actionlint needs Go"; fi

# Not a part of lint: it asks a database on the internet.
.PHONY: audit
audit: $(VENV)/.dev ## Ask PyPI which of the pinned packages have known vulnerabilities
	$(RUN) pip_audit --strict --disable-pip --require-hashes --progress-spinner off --requirement requirements/run.txt --requirement requirements/lab.txt --requirement requirements/dev.txt --requirement requirements/collection.txt

# Before each commit. `make lint` looks at all of it.
.PHONY: check
check: $(VENV)/.dev ## Run what is quick: the linters on what changed, and the unit tests
	$(RUN) ruff check . && $(RUN) ruff format --check . && $(RUN) mypy && PYTHONPATH=src $(BIN)/lint-imports > /dev/null
	changed() { { git diff --name-only -z --diff-filter=d HEAD -- "$$@"; git ls-files -z --others --exclude-standard -- "$$@"; }; }; \
	changed '*.yml' '*.yaml' | xargs -0 -r $(RUN) yamllint --strict; \
	changed '*.yml' | xargs -0 -r $(RUN) ansiblelint --offline --strict; \
	changed | xargs -0 -r $(RUN) detect_secrets.pre_commit_hook --exclude-files '^requirements/.*[.]txt$$|go[.]sum$$|image-inspect[.]txt$$'
	$(MAKE) --no-print-directory unit

.PHONY: generate
generate: $(VENV)/.dev ## Write anew what is made: a role's argument_specs, the report's JSON Schema, docs/faults.md
	PYTHONPATH=src $(RUN) pi_speedup.generate
	$(RUN) tests.faults

.PHONY: unit
unit: $(VENV)/.dev ## Run the unit tests, the lab's own included
	$(RUN) pytest -n 2 --dist loadgroup tests/unit virtual_cluster/tests/unit

# `make unit` takes 500 of the same kind, always the same ones. What fails prints a line that repeats it.
.PHONY: fuzz
fuzz: $(VENV)/.dev ## Make up 20,000 files, answers and settings: each is understood or refused in one line
	$(RUN) pytest -n 2 --hypothesis-profile=long tests/unit/hostile

.PHONY: browser-tests
browser-tests: $(VENV)/.dev ## Run the tests that open the report in a browser: Chromium
	@if [ "$${CI:-}" = true ] || command -v chromium > /dev/null; then \
	  $(RUN) pytest tests/browser; \
	else \
	  echo "LEFT OUT: the tests of report.html need Chromium (apt-get install chromium)"; \
	fi

# First, and by itself: its progress would be hidden by a test's.
.PHONY: kubernetes
kubernetes: $(VENV)/.dev ## Build Kubernetes for the lab, once per user
	$(RUN) virtual_cluster build

# $(call clusters,OPTIONS,FOLDERS): tests on a virtual cluster. Whole clusters share few cores here, and now and then one
# meets the load of another. So what failed is run once more, by itself, and has to pass; both results stay on the screen.
clusters = $(RUN) pytest $1 $2 || { [ $$? = 1 ] && echo "AGAIN, one at a time: the tests that failed" && $(RUN) pytest --last-failed --last-failed-no-failures none $2; }

# Two at a time, each with a lab of its own: mostly they wait.
.PHONY: lab-tests
lab-tests: kubernetes ## Run the tests that need a lab
	$(call clusters,-n 2 --dist loadfile,virtual_cluster/tests/lab tests/lab)

.PHONY: molecule
molecule: kubernetes ## Run the molecule scenarios on labs of their own
	for scenario in $(filter-out containers,$(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))); do $(RUN) molecule test -s "$$scenario"; done

# Told apart from a failure, for a machine without Docker is nothing to mend; but nothing is left out in CI.
.PHONY: container-tests
container-tests: kubernetes ## Run the tests that need Pis one can log in to: Docker and root
	@if [ "$${CI:-}" = true ] || { [ "$$(id -u)" = 0 ] && docker version > /dev/null 2>&1; }; then \
	  { $(call clusters,,virtual_cluster/tests/containers tests/containers); } && $(RUN) molecule test -s containers; \
	else \
	  echo "LEFT OUT: the tests on containers need root and a running Docker daemon"; \
	fi

# CI takes a sample of them; docs/proofs.md records a whole run.
.PHONY: proofs
proofs: kubernetes ## Kill a run at thirty moments, restart the control plane under it, start two at once: half an hour
	PROOFS=1 $(RUN) pytest tests/lab/test_kill.py tests/lab/test_restarts.py tests/lab/test_two_operators.py tests/lab/test_compare.py

# Four at a time, each with a lab of its own; on containers, which have SSH and Docker, one by one. What failed begins
# with the line that repeats it.
.PHONY: chaos
chaos: CHAOS_KIND ?= lab
chaos: kubernetes ## Let anything happen to 200 runs, at random; CHAOS="17 23" for these seeds: an hour; CHAOS_KIND=containers
	CHAOS_KIND=$(CHAOS_KIND) CHAOS="$${CHAOS:-$$(seq -s ' ' $(if $(filter containers,$(CHAOS_KIND)),40,200))}" \
	  $(RUN) pytest -n $(if $(filter containers,$(CHAOS_KIND)),1,4) --junitxml=chaos.xml tests/lab/test_chaos.py

.PHONY: overhead
overhead: KIND ?= lab
overhead: $(VENV)/.dev ## Compare a whole run with the same steps by hand; KIND=containers for Pis one logs in to
	$(BIN)/python benchmarks/overhead.py $(KIND)

.PHONY: repeats
repeats: KIND ?= lab
repeats: $(VENV)/.dev ## Measure ten times: interval widths, sound verdicts; KIND=containers for Pis one logs in to
	$(BIN)/python benchmarks/repeats.py $(KIND)

.PHONY: defects
defects: $(VENV)/.dev ## Spoil a measurement in seven ways, for real: what the verdict says; needs Docker and root
	$(BIN)/python benchmarks/defects.py

.PHONY: starts
starts: $(VENV)/.dev ## Show how far apart the pods of a trial start; needs Docker and root
	$(BIN)/python benchmarks/starts.py

.PHONY: wrapper
wrapper: $(VENV)/.dev ## Show what timing a command adds to it; IMAGE=NAME in a container of Docker
	$(BIN)/python benchmarks/wrapper.py $(if $(IMAGE),--image "$(IMAGE)")

.PHONY: scale
scale: $(VENV)/.dev ## Compare what a run costs the control host with 100 Pis and with three
	$(BIN)/python benchmarks/scale.py

.PHONY: report-size
report-size: $(VENV)/.dev ## Show what the report of 10,000 results costs
	$(BIN)/python benchmarks/report_size.py

.PHONY: front-page
front-page: FROM ?= runs/latest
front-page: $(VENV)/.dev ## Make the picture of the READMEs, docs/report.png, from the last run or FROM=runs/ID: Chromium
	$(BIN)/python benchmarks/front_page.py "$(FROM)"

# The tables of docs/simulations.md; `make unit` makes a few of the same.
.PHONY: simulations
simulations: $(VENV)/.dev ## Simulate 100,000 runs: does the interval cover, do the checks see: half an hour
	$(BIN)/python benchmarks/simulations.py

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make pins"

.PHONY: pins
pins: $(VENV)/.dev ## Resolve the pins of requirements/ anew
	for name in uv dev; do $(COMPILE) --output-file requirements/$$name.txt requirements/$$name.in; done
	for name in run lab; do $(COMPILE) --constraint requirements/dev.txt --output-file requirements/$$name.txt requirements/$$name.in; done
	$(COMPILE) --no-deps --output-file requirements/collection.txt requirements/collection.in

# Not what merely bears the name: a folder is a venv if it holds pyvenv.cfg.
.PHONY: clean
clean: ## Remove .venv and what tools left; runs/ stays
	if [ -f $(VENV)/pyvenv.cfg ]; then rm -rf -- $(VENV); fi
	rm -rf -- .mypy_cache .pytest_cache .hypothesis .ruff_cache .import_linter_cache .ansible
