# Every target is one command; `make` alone prints them. Variables and their defaults stand below.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SOURCE     ?=
FRAMES     ?= $(if $(filter synthetic,$(SOURCE)),300)
DATA       ?= data/fer2013.csv
CONFIG     ?= configs/train/$(if $(FERPLUS),senet-ferplus,senet-ferplus-taught).yaml
RUN        ?= runs/$(basename $(notdir $(CONFIG)))
CHECKPOINT ?= weights/senet-ferplus.safetensors
OUT        ?= artifacts/$(basename $(notdir $(CHECKPOINT)))
SPLIT      ?= PublicTest
FLAVOR     ?=
TWINS      ?=
FERPLUS    ?=
EXCLUDE    ?=
SEEDS      ?=
FOLDS      ?= 5
TEACHERS   ?= weights/senet-ferplus.safetensors
PLAN       ?= configs/sweep/gpu.yaml
MINUTES    ?=
PUBLISH    ?=
RIVALS     ?=
COMPARE    ?=
FROM       ?=
CLIPS      ?=
VIDEOS     ?=

ROWS = $(if $(FERPLUS),--ferplus $(FERPLUS)) $(if $(TWINS),--twin-rows $(TWINS)) $(if $(EXCLUDE),--exclude $(EXCLUDE))
AGAIN = $(if $(wildcard $(1)/last.pt),--resume)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check coverage lint train evaluate release audit crossval distill sweep bench bench-full export live docs clean

help:  ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A stamp is newer than what it was installed from, so that a second call installs nothing.
$(VENV)/.base: pyproject.toml constraints.txt
	@echo "installing the runtime into $(VENV) (about a minute the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[cpu]'
	@touch $@

$(VENV)/.all: $(VENV)/.base
	@echo "installing torch and the tools (about 5.5 GB the first time) ..."
	$(PIP) --editable '.[cpu,train,export,dev]'
	@touch $@

setup: $(VENV)/.all  ## install everything into .venv

demo: $(VENV)/.base  ## a first result: a sample clip, or drawn faces offline; SOURCE=0 for a camera, SOURCE=clip.mp4
	$(if $(SOURCE),$(BIN)/fer-deploy live --source '$(SOURCE)' $(if $(FRAMES),--max-frames $(FRAMES)) --no-display \
		--record demo/demo.mp4 --jsonl demo/demo.jsonl,$(BIN)/fer-deploy demo)

live: $(VENV)/.base  ## run the bundled model in a window; SOURCE=0 for a camera
	$(BIN)/fer-deploy live --source '$(or $(SOURCE),synthetic)'

# Tests start hundreds of programs; without bytecode each would compile the packages again. Containers often forbid it.
test check coverage: export PYTHONDONTWRITEBYTECODE =

# A file's tests stay in one process, since they share what is slow to make. The slow files come first, as they stand.
PARALLEL = --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: lint  ## lint, types, import contracts and all tests
	$(BIN)/python -m pytest $(PARALLEL) --durations=15

check: lint  ## lint, types and the unit tests in parallel, without the slow ones: before each commit
	$(BIN)/python -m pytest tests/unit tests/contract $(PARALLEL) -m 'not slow'

coverage: $(VENV)/.all  ## all tests, and which lines none of them runs, into .coverage-report/
	$(BIN)/python -m pytest $(PARALLEL) --cov=fer_train --cov=fer_deploy --cov-report=term:skip-covered --cov-report=html:.coverage-report --durations=30

lint: $(VENV)/.all  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

train: $(VENV)/.all  ## train CONFIG (senet-ferplus) on DATA into RUN; resumes; FERPLUS=fer2013new.csv adds the votes
	$(BIN)/fer-train train --config $(CONFIG) --data $(DATA) --out $(RUN) $(ROWS) \
		$(if $(SEEDS),--seeds $(SEEDS),$(call AGAIN,$(RUN)))

distill: $(VENV)/.all  ## train CONFIG on what TEACHERS say of DATA into RUN-distilled
	$(BIN)/fer-train distill --config $(CONFIG) --data $(DATA) --out $(RUN)-distilled $(ROWS) \
		$(foreach teacher,$(TEACHERS),--teacher $(teacher)) $(call AGAIN,$(RUN)-distilled)

# The default CONFIG of train starts from weights that have seen every fold.
crossval audit: CONFIG := $(if $(filter file,$(origin CONFIG)),configs/train/net.yaml,$(CONFIG))

crossval: $(VENV)/.all  ## FOLDS models of CONFIG (net), each judged on what it did not see
	$(BIN)/fer-train crossval --config $(CONFIG) --data $(DATA) --out $(RUN)-crossval $(ROWS) --folds $(FOLDS)

audit: $(VENV)/.all  ## duplicates, leakage, non-faces and likely label errors of DATA into audit/
	$(BIN)/fer-train audit --data $(DATA) --out audit $(if $(FERPLUS),--ferplus $(FERPLUS)) \
		$(if $(wildcard $(RUN)-crossval/out_of_fold.npz),--predictions $(RUN)-crossval/out_of_fold.npz)

evaluate: $(VENV)/.all  ## measure CHECKPOINT (senet-ferplus) on SPLIT of DATA; FERPLUS=... against FER+ too
	$(BIN)/fer-train evaluate --checkpoint $(CHECKPOINT) --data $(DATA) --split $(SPLIT) --plots $(OUT)/plots \
		$(if $(FERPLUS),--ferplus $(FERPLUS))

# Batch norm of the FER+ family saw degraded faces on purpose: measured again it costs accuracy.
release: $(VENV)/.all  ## RUN/final.safetensors -> RUN/release.safetensors (fp16) with model card and plots
	$(BIN)/fer-train release --checkpoint $(RUN)/final.safetensors --data $(DATA) \
		$(if $(findstring ferplus,$(CONFIG)),,--recalibrate) \
		$(if $(FERPLUS),--ferplus $(FERPLUS)) $(if $(TWINS),--twin-rows $(TWINS)) \
		--out $(RUN)/release.safetensors --plots $(RUN)/release-plots

sweep: $(VENV)/.all  ## every run of PLAN, the ensemble, its students, in MINUTES (600): what a GPU is for
	$(BIN)/fer-train sweep --plan $(PLAN) --data $(DATA) $(if $(PUBLISH),--publish benchmarks/results) \
		$(if $(FERPLUS),--ferplus $(FERPLUS)) $(if $(TWINS),--twin-rows $(TWINS)) $(if $(MINUTES),--minutes $(MINUTES))

BENCH = $(BIN)/python benchmarks/suite.py $(if $(wildcard $(DATA)),--data $(DATA) $(if $(FERPLUS),--ferplus $(FERPLUS))) \
	$(foreach clip,$(CLIPS),--clip $(clip)) $(if $(VIDEOS),--videos $(VIDEOS)) \
	$(foreach python,$(RIVALS),--rival-python $(python)) $(if $(PUBLISH),--publish) \
	$(if $(COMPARE),--compare $(COMPARE)) $(if $(FROM),--from $(FROM))

bench: $(VENV)/.all  ## latency, accuracy (where DATA is) and the live loop in five to ten minutes; PUBLISH=1 for benchmarks/results too; COMPARE=folder of an earlier run
	$(BENCH) --quick

bench-full: $(VENV)/.all  ## the same in full, and every other benchmark that can run here; CLIPS, VIDEOS (of agreement.py), RIVALS; FROM=name goes on
	$(BENCH)

export: $(VENV)/.all  ## CHECKPOINT -> verified ONNX in OUT, INT8 where DATA is there; FLAVOR=tensorrt-rtx for plans
	$(BIN)/fer-deploy export --checkpoint $(CHECKPOINT) --out $(OUT) \
		$(if $(wildcard $(DATA)),--data $(DATA) $(if $(FERPLUS),--ferplus $(FERPLUS))) \
		$(if $(FLAVOR),--flavor $(FLAVOR))

docs: $(VENV)/.all  ## model cards, API page, numbers, chart and the website in site/html; warnings and dead links are errors
	$(BIN)/python docs/tools/cards.py
	$(BIN)/python docs/tools/api.py
	$(BIN)/python docs/tools/numbers_of_readme.py
	$(BIN)/python docs/tools/deploy_page.py
	$(BIN)/python docs/tools/chart.py
	$(BIN)/python docs/tools/website.py

clean:  ## remove what the targets wrote, except trained runs
	rm -rf demo artifacts site .pytest_cache .mypy_cache .ruff_cache
