# Everything that is done with this repository. Needs python3 >= 3.11 and make; the rest is installed into .venv
# from the hash-pinned lock files (`make help` lists the targets).

.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
# Passed on to pytest: make test ARGS="tests/core -k fairshare"
ARGS ?=
# Processes that tests run in at a time, 0: in pytest's own, as --pdb wants it.
PACKHORSE_WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); echo $$((n < 4 ? n : 4)))

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
PIP_WHEEL := $(wildcard third_party/pip/pip-*.whl)
PACKAGED := $(shell find scheduler agent cli benchmarks/simulator proto examples -type f \
	-not -path '*/__pycache__/*' -not -path '*/results/*' 2>/dev/null)
NAMESPACE := build/ns/packhorse

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

# ---------------------------------------------------------------------------------------------- installing

# Debian's python3 comes without ensurepip, so pip comes from the wheel in third_party/, everywhere alike.
$(BIN)/python: | $(PIP_WHEEL)
	@test -n "$(PYTHON)" || { echo "packhorse needs Python 3.11 or newer, and none was found:" \
		"install one (Debian 12: apt-get install python3), or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --without-pip --clear $(VENV)
	@$(BIN)/python $(PIP_WHEEL)/pip --disable-pip-version-check install -q --no-index $(PIP_WHEEL)

$(VENV)/.run: lock/run.txt | $(BIN)/python
	@echo "installing what Packhorse runs on (lock/run.txt)"
	@$(PIP) install --require-hashes -r lock/run.txt
	@touch $@

$(VENV)/.dev: lock/dev.txt | $(BIN)/python
	@echo "installing what Packhorse runs on and is tested with (lock/dev.txt)"
	@$(PIP) install --require-hashes -r lock/dev.txt
	@touch $@ $(VENV)/.run

# A normal install, never an editable one: its import hook costs every command more than the command itself does.
$(VENV)/.package: setup.py pyproject.toml $(PACKAGED) | $(BIN)/python
	@echo "installing Packhorse itself"
	@rm -rf build/lib build/bdist.*
	@$(PIP) install --no-deps --no-build-isolation --no-index --force-reinstall .
	@touch $@

# The folders as the packages they install as, for tests, mypy and import-linter, which see the sources through it.
$(NAMESPACE)/.made: Makefile
	@mkdir -p $(NAMESPACE)
	@ln -sfn ../../../scheduler $(NAMESPACE)/scheduler
	@ln -sfn ../../../agent $(NAMESPACE)/agent
	@ln -sfn ../../../cli $(NAMESPACE)/cli
	@ln -sfn ../../../cli/client $(NAMESPACE)/client
	@ln -sfn ../../../benchmarks/simulator $(NAMESPACE)/simulator
	@ln -sfn ../../../proto/packhorse/v1 $(NAMESPACE)/v1
	@ln -sfn ../../../examples $(NAMESPACE)/examples
	@touch $@

.PHONY: install dev
install: $(VENV)/.run  ## Packhorse and all it runs on, into .venv
	@$(MAKE) --no-print-directory $(VENV)/.package

dev: $(VENV)/.dev $(NAMESPACE)/.made  ## what the checks need, into .venv

# ---------------------------------------------------------------------------------------------- using

.PHONY: demo
demo: install  ## a one-machine cluster in a temporary directory, and the digits example on it
	@$(BIN)/packhorse demo

.PHONY: slurm-page
slurm-page: $(NAMESPACE)/.made  ## docs/slurm.md, from the tables that the commands parse with
	@PYTHONPATH=build/ns $(BIN)/python -m packhorse.cli.slurm.compat > build/slurm.md && mv build/slurm.md docs/slurm.md

# ---------------------------------------------------------------------------------------------- checking

.PHONY: test test-clients soak golden-session test-mpi check format format-check lint types imports proto proto-check bench bench-agent bench-packing bench-policies bench-reclaim bench-reclaim-cluster bench-policy
# A file's tests stay together, and what takes long for its number of tests (tests/e2e, tests/faults) does not come last.
test: dev  ## install, then all tests but the slow ones, in PACKHORSE_WORKERS processes
	@$(MAKE) --no-print-directory $(VENV)/.package
	@$(BIN)/python -m pytest -n $(PACKHORSE_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# Each client's environment is kept in build/clients; one alone: make test-clients ARGS=parsl
test-clients: dev $(NAMESPACE)/.made  ## programs that drive Slurm, from the package registry, against a cluster: some minutes
	@PYTHONPATH=build/ns:. $(BIN)/python -m tests.clients $(ARGS)

soak: dev  ## the crash and soak suites: minutes each
	@$(MAKE) --no-print-directory $(VENV)/.package
	@$(BIN)/python -m pytest -m slow $(ARGS)

golden-session: dev  ## the session recorded on a real Slurm, held on a cluster of ours and compared: 3 minutes, as root
	@$(MAKE) --no-print-directory $(VENV)/.package
	@PYTHONPATH=$(CURDIR):$(CURDIR)/build/ns $(BIN)/python -m tests.golden_session $(ARGS)

test-mpi: dev  ## programs of MPICH and Open MPI on two nodes; Debian's packages are unpacked into build/mpi
	@$(MAKE) --no-print-directory $(VENV)/.package
	@tests/mpi_packages.sh build/mpi
	@$(BIN)/python -m pytest tests/e2e/test_mpi.py -rs $(ARGS)

check: format-check lint types imports proto-check test  ## everything a change has to pass

format: dev  ## rewrite the sources in the house's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only -q .

format-check: dev  ## is everything in that format?
	@$(BIN)/ruff format --check .

lint: dev  ## ruff
	@$(BIN)/ruff check .

types: dev  ## mypy --strict
	@$(BIN)/mypy $(addprefix $(NAMESPACE)/,scheduler agent cli client simulator v1) $(if $(wildcard benchmarks/*.py),benchmarks) tests setup.py proto/generate.py
	@MYPYPATH=examples/digits $(BIN)/mypy examples/digits

imports: dev  ## who may import whom
	@PYTHONPATH=build/ns $(BIN)/lint-imports --no-logo --cache-dir build/import-linter

proto: dev  ## generate the Python code of proto/packhorse/v1
	@$(BIN)/python proto/generate.py

proto-check: dev  ## is the committed code what the .proto files give?
	@$(BIN)/python proto/generate.py --check

bench: dev  ## the table of numbers in benchmarks/
	@$(MAKE) --no-print-directory $(VENV)/.package
	@PYTHONPATH=. $(BIN)/python -m benchmarks $(ARGS)

bench-agent: dev $(NAMESPACE)/.made  ## one agent alone: starts, memory, kill -9 with 100 jobs
	@PYTHONPATH=build/ns:. $(BIN)/python -m benchmarks.agent_launch $(ARGS)

# All ten variants where their folder is named: make bench-packing OPENB=../shared/traces/openb
OPENB ?=
bench-packing: install  ## openb, passes and improver in full: half an hour and more
	$(BIN)/packhorse bench openb $(if $(OPENB),--data $(OPENB) --variant all) --policy packhorse,fgd,best-fit
	$(BIN)/packhorse bench cycle
	$(BIN)/packhorse bench improver $(if $(OPENB),--data $(OPENB))

bench-policies: install  ## the simulator against published numbers, row by row: half an hour
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.policies

bench-reclaim: install  ## usage estimates on usage traces, slack against overruns: ten minutes
	PYTHONPATH=. OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.reclaim_estimators $(ARGS)

bench-policy: install  ## a pass with fair share and limits; a day of 100,000 jobs under limits, judged: half an hour
	PYTHONPATH=. OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.policy_pass $(ARGS)
	PYTHONPATH=. OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.limits_day

bench-reclaim-cluster: install  ## work in memory that nobody uses, on usage traces: a quarter of an hour
	PYTHONPATH=. OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.reclaim_cluster $(ARGS)

bench-fair-share: install  ## three accounts that all want more than their shares: ten minutes
	PYTHONPATH=. OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.fair_share $(ARGS)

# ---------------------------------------------------------------------------------------------- maintaining

COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --group build

.PHONY: lock upgrade clean
lock: dev  ## resolve lock/*.txt again, keeping what still fits
	$(COMPILE) --extra all -o lock/run.txt pyproject.toml
	$(COMPILE) --extra dev -c lock/run.txt -o lock/dev.txt pyproject.toml

upgrade: dev  ## the same, with the newest versions that fit
	$(COMPILE) --upgrade --extra all -o lock/run.txt pyproject.toml
	$(COMPILE) --upgrade --extra dev -c lock/run.txt -o lock/dev.txt pyproject.toml

clean:  ## remove all that was made or installed here
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
