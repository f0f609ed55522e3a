# Every target makes .venv itself; Python 3.11 or newer is all that has to be there.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV   := .venv
BIN    := $(VENV)/bin
MAKEFLAGS += --no-print-directory
WORKERS ?= 2

# One thread a worker: the tests that need more ask for it themselves. Files in their own order: by
# number of tests, the few that take minutes would come last. What they write is kept in memory where
# that has 8 GB to spare: a database waits for a disk at every write.
MEMORY := $(shell df -Pk /dev/shm 2>/dev/null | awk 'END { if ($$4 > 8000000) print "TMPDIR=/dev/shm" }')
PYTEST := $(MEMORY) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile \
          --no-loadscope-reorder -o tmp_path_retention_policy=failed -o tmp_path_retention_count=1

.PHONY: help quickstart proof test lint docs docs-check bench ci study machine clean

help: ## Show what there is.
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

quickstart: $(VENV)/have-quickstart ## The whole loop on a real small model and human ratings, and its report.
	@echo "quickstart: SmolLM2-135M on film reviews, in ./accord-quickstart (fetches 96 MB more at first use)"
	$(BIN)/accord quickstart

proof: $(VENV)/have-quickstart ## The quickstart's claims over five seeds, and planted faults; 90 minutes to two hours and a half.
	$(BIN)/python -m bench.proof

test: $(VENV)/have-dev ## Every test that needs Python alone; says what it left out.
	$(PYTEST)
	@echo "left out: slow tests, lint, and the skipped ones listed above (make ci runs all)"

lint: $(VENV)/have-dev ## Style, format, types and the direction of imports.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/have-dev ## Write the pages that are made from the code.
	$(BIN)/python docs/generate.py

docs-check: $(VENV)/have-dev ## Fail where a page differs from the code.
	$(BIN)/python docs/generate.py --check

bench: $(VENV)/have-peers ## Speed and memory beside other libraries, in one run.
	$(BIN)/python bench/run.py

ci: $(VENV)/have-peers machine lint docs-check ## Everything but the studies.
	ACCORD_TEST_ALL=1 $(PYTEST) --durations 15
	ACCORD_TEST_ALL=1 $(PYTEST) -m "slow and not study" --durations 30

study: $(VENV)/have-dev ## Claims over several seeds; many minutes.
	$(BIN)/python -m pytest -m study -s

machine: ## Install Debian's chromium and PostgreSQL where they are missing.
	@absent=""; \
	{ command -v chromium && command -v chromedriver; } >/dev/null || absent="chromium chromium-driver"; \
	compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || absent="$$absent postgresql"; \
	if [ -n "$$absent" ]; then \
	  sudo=""; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	  $$sudo apt-get update -q && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$absent; \
	fi
	@command -v chromium && command -v chromedriver && compgen -G '/usr/lib/postgresql/*/bin/postgres'

clean: ## Remove .venv and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# --- the environment --------------------------------------------------------------------------
# A stamp file a set of extras, older than pyproject.toml or constraints.txt: installed again. torch
# is asked for in the same command as its pin, so that a build of it that pip is set up to find
# (a processor-only one, say) is taken and never replaced.

$(VENV)/bin/python:
	@python=""; for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14); do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$name; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "Accord needs Python 3.11 or newer and found: $$($(or $(PYTHON),python3) --version 2>&1 || true)" >&2; \
	  echo "  do: install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; fi; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "  do: give $$python its venv module (Debian: apt-get install python3-venv)" >&2; exit 2; }

define install
$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt $(1)
@touch $@
endef

$(VENV)/have-quickstart: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,torch -e ".[quickstart]")

$(VENV)/have-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,torch -e ".[quickstart$(comma)dev]")

$(VENV)/have-peers: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(call install,torch -e ".[quickstart$(comma)postgres$(comma)dev$(comma)peers]")
	@touch $(VENV)/have-dev $(VENV)/have-quickstart

comma := ,
