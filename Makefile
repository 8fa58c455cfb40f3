# Every target makes what it needs first, says so in one line, and does nothing twice.

VENV ?= .venv
PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

BIN := $(VENV)/bin
IN_CHROMIUM := $(addprefix tests/browser/test_,player.py compare.py learn.py lab.py)
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo model bench bench-gpu doctor static test test-browser lint format clean

help: ## show this
	@echo "make TARGET [NAME=value ...]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  PYTHON=python3.12   the Python that makes $(VENV), 3.10 to 3.12"
	@echo "  TORCH_INDEX=URL     take torch from this package index. On Linux pip's default torch"
	@echo "                      is a CUDA build of some GB; without an NVIDIA GPU give the URL"
	@echo "                      of PyTorch's CPU builds (its start page names it)"
	@echo "  ARGS='...'          more options for demo, bench and static"

demo: $(RUNTIME) ## install what is needed and start the app
	@echo "Starting the app (the model loads in the background, on first use it is downloaded)"
	@$(BIN)/python app.py $(ARGS)

model: $(RUNTIME) ## fetch the default model into the cache, without starting anything
	@echo "Fetching the default model, unless the cache has it"
	@$(BIN)/python -m propd.models.fetch

bench: $(RUNTIME) ## compare the decoding methods and transformers on this machine
	@echo "Running the benchmark; its files go to runs/bench"
	@$(BIN)/python -m propd bench --peers transformers,transformers-lookup --out runs/bench $(ARGS)

bench-gpu: $(RUNTIME) ## on a machine with a GPU: parity and the full comparison, as one report
	@echo "Measuring this GPU; the report goes to runs/gpu, and goes on where it was stopped"
	@$(BIN)/python -m propd doctor --gpu --out runs/gpu $(ARGS)

doctor: $(RUNTIME) ## say what this machine has and what is missing
	@$(BIN)/python -m propd doctor

static: $(RUNTIME) ## build the studio as plain files without a server, into build/static
	@echo "Building the static site"
	@$(BIN)/python -m app.site $(ARGS)

# Of the places four are driven in Chromium here: all of it would take a quarter of an hour.
test: lint ## lint, then the tests; of those that need Chromium, Watch, Compare, Learn and Lab
	@echo "Running the tests, two at a time on one thread each, then those that are to have all threads"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal \
	  --ignore tests/browser --ignore tests/test_default_model.py $(ARGS)
	@$(BIN)/python -m pytest tests/test_default_model.py $(IN_CHROMIUM) $(ARGS)

test-browser: $(DEV) ## all tests that need Chromium, then what the page promises, measured
	@echo "Driving the app in Chromium"
	@$(BIN)/python -m pytest tests/browser $(ARGS)
	@echo "Measuring the page (for figures to keep, nothing else should run on this machine)"
	@$(BIN)/python -m tests.browser.bench

lint: $(DEV) ## ruff and mypy
	@echo "Checking style and types"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(DEV) ## let ruff rewrite the code
	@echo "Formatting"
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove .venv and tool caches (the model cache stays)
	@echo "Removing $(VENV) and tool caches"
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	@find app propd tests -name __pycache__ -prune -exec rm -rf {} +

# pip comes last into a new environment, so without it the environment is not whole.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || { \
	  echo "$(PYTHON) is missing or not Python 3.10 to 3.12; try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Cannot make $(VENV); on Debian or Ubuntu install python3-venv" >&2; exit 1; }
	@touch $@

$(RUNTIME): requirements.txt | $(BIN)/pip
ifneq ($(TORCH_INDEX),)
	@echo "Installing torch from $(TORCH_INDEX)"
	@$(PIP_INSTALL) --index-url '$(TORCH_INDEX)' "$$(grep '^torch[<>=]' requirements.txt)"
endif
	@echo "Installing requirements.txt (torch is large: this can take minutes)"
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Installing requirements-dev.txt"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@
