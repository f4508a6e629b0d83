# Every target is one command; `make` alone prints them. Variables and their defaults stand below.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SOURCE     ?= synthetic
FRAMES     ?= $(if $(filter synthetic,$(SOURCE)),300)
DATA       ?= data/fer2013.csv
CONFIG     ?= configs/train/net.yaml
RUN        ?= runs/net
CHECKPOINT ?= weights/net.safetensors
OUT        ?= artifacts/net
SPLIT      ?= PublicTest
TWINS      ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint train evaluate export live clean

help:  ## print the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A stamp is newer than what it was installed from, so that a second call installs nothing.
$(VENV)/.base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[cpu]'
	@touch $@

$(VENV)/.all: $(VENV)/.base
	@echo "installing torch and the tools (about 5.5 GB the first time) ..."
	$(PIP) --editable '.[cpu,train,export,dev]'
	@touch $@

setup: $(VENV)/.all  ## install everything into .venv

demo: $(VENV)/.base  ## run the bundled model headless; SOURCE=0 for a camera, SOURCE=clip.mp4 for a file
	$(BIN)/fer-deploy live --source '$(SOURCE)' $(if $(FRAMES),--max-frames $(FRAMES)) --no-display \
		--record demo/demo.mp4 --jsonl demo/demo.jsonl

live: $(VENV)/.base  ## run the bundled model in a window; SOURCE=0 for a camera
	$(BIN)/fer-deploy live --source '$(SOURCE)'

test: lint  ## lint, types, import contracts and all tests
	$(BIN)/python -m pytest

lint: $(VENV)/.all  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(VENV)/.all  ## train CONFIG on DATA into RUN; goes on where it stopped
	$(BIN)/fer-train train --config $(CONFIG) --data $(DATA) --out $(RUN) \
		$(if $(TWINS),--twin-rows $(TWINS)) $(if $(wildcard $(RUN)/last.pt),--resume)

evaluate: $(VENV)/.all  ## measure CHECKPOINT on SPLIT of DATA
	$(BIN)/fer-train evaluate --checkpoint $(CHECKPOINT) --data $(DATA) --split $(SPLIT) \
		--confusion $(OUT)/confusion.png

export: $(VENV)/.all  ## CHECKPOINT -> verified ONNX in OUT
	$(BIN)/fer-deploy export --checkpoint $(CHECKPOINT) --out $(OUT)

clean:  ## remove what the targets wrote, except trained runs
	rm -rf demo artifacts .pytest_cache .mypy_cache .ruff_cache
