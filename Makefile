# make serve    set up whatever is missing, then serve until Ctrl-C
# make setup    the set-up alone
# make test     format, lint, types and the whole test suite
# make bench    accuracy and throughput over a folder of truth files: DATA=folder
# make bench-gpu        checks and times the models of OCR_PRESET on a GPU: DEVICE=cuda
#
# HOST, PORT, DEVICE (cpu or cuda), PYTHON and BENTOML_HOME can be set: make serve PORT=8000
# OCR_PRESET=modelscope make serve takes another pair of models

HOST ?= 127.0.0.1
PORT ?= 9533
DEVICE ?= cpu
PYTHON ?= python3
DATA ?= ../shared/data
FROM ?=

export BENTOML_HOME ?= $(CURDIR)/.bentoml
export BENTOML_DO_NOT_TRACK ?= True
export OCR_DEVICE ?= $(DEVICE)
export OCR_PRESET ?= ppocr

# The models of ModelScope take more packages to import.
comma := ,
FROM_HUB := $(filter-out ppocr,$(OCR_PRESET))$(OCR_DETECTION)$(OCR_RECOGNITION)
EXTRAS := $(DEVICE)$(comma)import$(if $(FROM_HUB),$(comma)modelscope)

BIN := .venv/bin
READY := .venv/ready-$(subst $(comma),-,$(EXTRAS))
READY_DEV := .venv/ready-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve setup models test lint types tests bench bench-gpu clean

serve: setup
	exec $(BIN)/bentoml serve service:OCR --host $(HOST) --port $(PORT)

setup: $(READY) models

models: $(READY)
	@$(BIN)/python import_models.py $(if $(FROM),--from $(FROM))

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

$(READY): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$(EXTRAS)]'
	@touch $@

$(READY_DEV): $(READY)
	$(PIP) --editable '.[$(DEVICE),import,modelscope,dev]'
	@touch $@

test: lint types tests

lint: $(READY_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY_DEV)
	$(BIN)/mypy

tests: $(READY_DEV) models
	$(BIN)/pytest

bench: $(READY_DEV) models
	$(BIN)/python benchmarks/accuracy.py $(DATA)
	$(BIN)/python benchmarks/throughput.py $(DATA) --clients 1,8 --rapidocr --in-process

bench-gpu: $(READY_DEV)
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf .venv .bentoml build *.egg-info .mypy_cache .pytest_cache .ruff_cache
