# Set-up happens by itself: every target below needs .venv, which is made once and again when the lock changes.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
UV_VERSION := 0.13.9
RUN := $(BIN)/python -m

.PHONY: help lab demo test check bench soak walkthrough lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

lab: $(STAMP) ## open JupyterLab at the desk, where you call Clara
	@$(RUN) clara_kit lab $(ARGS)

demo: $(STAMP) ## hear and watch a whole conversation in the terminal, without keys or internet
	@$(RUN) clara_kit demo $(ARGS)

# Kernels live at CLARA_PACE (tests choose their own, see tests/conftest.py); a machine that keeps no bytecode would
# compile every package anew for each of them.
test: export CLARA_PACE = 50
test: export PYTHONDONTWRITEBYTECODE =
test: export PYTHONPYCACHEPREFIX = $(CURDIR)/build/pycache
test: $(STAMP) ## every test and every notebook (a few minutes)
	$(RUN) pytest -n 3 --dist loadfile --no-loadscope-reorder --nbval-lax --nbval-current-env notebooks tests

check: $(STAMP) ## style, types, layers, and the size of the package
	@$(BIN)/ruff check . && $(BIN)/ruff format --check -q . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache && $(BIN)/python .ci/size.py

bench: $(STAMP) ## measure what the kit itself costs, as ratios
	@$(RUN) tests.bench

soak: $(STAMP) ## the tests that take minutes
	$(RUN) pytest -m soak tests

walkthrough: $(STAMP) ## run the notebooks into readable pages under build/walkthrough
	@$(BIN)/python .ci/walkthrough.py

lock: $(STAMP) ## make requirements.lock anew from pyproject.toml
	@$(BIN)/python -m uv pip compile -q --universal --extra all --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --python-version 3.11 pyproject.toml -o requirements.lock

clean: ## forget the set-up and everything that was built
	rm -rf $(VENV) build

$(STAMP): requirements.lock pyproject.toml .ci/setup.sh
	@bash .ci/setup.sh $(VENV) $(UV_VERSION)
	@touch $@
