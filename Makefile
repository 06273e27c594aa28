# Everything runs in .venv, which the first target sets up by itself. Needs Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
ASK := $(VENV)/.ask
TORCH := torch==2.13.0
MINI := $(wildcard packages/rsvlm-mini/pyproject.toml)
CODE := src tests tools $(wildcard benchmarks) $(wildcard examples)

# glibc returns large freed blocks to the kernel and maps them anew at the next step, which costs time in every step of
# training on a CPU. These values keep them. (The rsvlm program does the same for itself.)
export MALLOC_MMAP_THRESHOLD_ := 4294967296
export MALLOC_TRIM_THRESHOLD_ := 8589934592
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup check format test fuzz demo bench clean

help:  ## Show the targets.
	@sed -n 's/^\([a-z]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP)  ## Create .venv with the tested versions of everything.

$(STAMP): pyproject.toml constraints.txt $(MINI)
	@test -n "$(PYTHON)" || { echo "No Python was found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: say make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)' -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[dev]' $(if $(MINI),-e packages/rsvlm-mini) -c constraints.txt
	-$(BIN)/rsvlm setup --train  # without it the tests of the embedded model, and of CLIP's tokenizer, are skipped
	@touch $@

$(ASK): pyproject.toml constraints.txt $(MINI)
	@test -n "$(PYTHON)" || { echo "No Python was found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[ask]' -e packages/rsvlm-mini -c constraints.txt
	@touch $@

check: $(STAMP)  ## Format, lint, types, arrows between the modules, circles, sizes, generated tables.
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tools/circles.py
	$(BIN)/python tools/sizes.py
	$(BIN)/python tools/tables.py --check

format: $(STAMP)  ## Format the code and sort its imports.
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

test: $(STAMP)  ## Run the tests (on CPU, without a network).
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(ARGS)

fuzz: $(STAMP)  ## Try many odd texts and files (N of each parser).
	RSVLM_FUZZ=$(or $(N),25000) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/fuzz

demo: $(ASK) demo/OSBS_029.tif demo/rmnp-rgb.tif  ## Ask the embedded model about a real aerial scene.
	$(BIN)/rsvlm setup
	$(BIN)/rsvlm info demo/OSBS_029.tif
	$(BIN)/rsvlm ask demo/OSBS_029.tif "Describe this image." "What land cover is this?" "Is there water?" --out demo/answer
	@echo "The answers lie in demo/answer; look at demo/answer/overlay.png"
	@echo 'Next: $(BIN)/rsvlm ask demo/rmnp-rgb.tif "Describe this image."'

demo/%.tif: | $(ASK)
	$(BIN)/python tools/scenes.py $*.tif demo

bench: $(STAMP)  ## Measure speed and memory; each script prints one JSON line.
	@for script in $(wildcard benchmarks/*.py); do $(BIN)/python $$script || exit 1; done

clean:  ## Remove what the targets made, the environment and the demo included.
	rm -rf $(VENV) demo build dist src/*.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
