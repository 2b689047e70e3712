# make serve    set up whatever is missing, then serve until Ctrl-C
# make setup    the set-up alone
# make test     format, lint, types and the whole test suite
# make bench    accuracy and throughput over a folder of truth files: DATA=folder
#
# HOST, PORT, DEVICE (cpu or cuda), PYTHON and BENTOML_HOME can be set: make serve PORT=8000

HOST ?= 127.0.0.1
PORT ?= 9533
DEVICE ?= cpu
PYTHON ?= python3
DATA ?= ../shared/data

export BENTOML_HOME ?= $(CURDIR)/.bentoml
export BENTOML_DO_NOT_TRACK ?= True
export OCR_DEVICE ?= $(DEVICE)

BIN := .venv/bin
READY := .venv/ready-$(DEVICE)
READY_DEV := .venv/ready-dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve setup models test lint types tests bench clean

serve: setup
	exec $(BIN)/bentoml serve service:OCR --host $(HOST) --port $(PORT)

setup: $(READY) models

models: $(READY)
	@$(BIN)/python import_models.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

$(READY): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[$(DEVICE),import]'
	@touch $@

$(READY_DEV): $(READY)
	$(PIP) --editable '.[$(DEVICE),import,dev]'
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

clean:
	rm -rf .venv .bentoml build *.egg-info .mypy_cache .pytest_cache .ruff_cache
