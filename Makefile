# make serve    set up whatever is missing, then serve until Ctrl-C
# make setup    the set-up alone
# make test     format, lint, types and the tests
# make test-slow        what takes long: services that are broken or started anew, whole data sets
# make bench    limits, growth, accuracy and throughput; over a folder of truth files: DATA=folder
# make bench-gpu        checks and times the models of PRESET on a GPU, then the service: DEVICE=cuda
# make image    a container image with the models of PRESET, for DEVICE
# make test-browser     looks at the page with Chromium: tests/install brings it on Debian
# make fuzz     looks for what breaks the decoders and the API, for SECONDS each
# make audit    known holes in the packages of the images, and the static check for own ones
# make soak     REQUESTS mixed requests over a folder of truth files (DATA): memory, errors, answers
# make bulk     reads all files of INPUT into Parquet in OUTPUT, with Ray: OPTIONS as of bulk.py
# make test-ray runs the bulk job on Ray, on one machine and on three
# make test-image       builds an image and tries it: root on Debian, or a running Docker
# make lock     pins the packages of the images anew
# make release  builds and pushes an image with SBOM and provenance; what CI does for a tag
#
# HOST, PORT, DEVICE (cpu or cuda), PRESET (ppocr, modelscope or modelscope-db), PYTHON, BENTOML_HOME
# and IMAGE can be set: make serve PORT=8000 PRESET=modelscope

HOST ?= 127.0.0.1
PORT ?= 9533
DEVICE ?= cpu
PYTHON ?= python3
DATA ?= ../shared/data
FROM ?=
PRESET ?= ppocr
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' ocr/__init__.py)
IMAGE ?= ghcr.io/ocr-service/ocr-service
TAG ?= $(VERSION)-$(DEVICE)
BACKEND ?= docker
ATTESTATIONS ?= --opt sbom=true --opt provenance=mode=max
OPTIONS ?=
SECONDS ?= 60
REQUESTS ?= 20000

export BENTOML_HOME ?= $(CURDIR)/.bentoml
export BENTOML_DO_NOT_TRACK ?= True
export OCR_DEVICE ?= $(DEVICE)
export OCR_PRESET ?= $(PRESET)

# The models of ModelScope take more packages to import.
comma := ,
FROM_HUB := $(filter-out ppocr,$(OCR_PRESET))$(OCR_DETECTION)$(OCR_RECOGNITION)
EXTRAS := $(DEVICE)$(comma)import$(if $(FROM_HUB),$(comma)modelscope)

BIN := .venv/bin
READY := .venv/ready-$(subst $(comma),-,$(EXTRAS))
READY_DEV := .venv/ready-dev
READY_BENCH := .venv/ready-bench
READY_BULK := .venv/ready-bulk-$(DEVICE)
READY_IMAGE := .venv/ready-image
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: serve setup models test lint types tests bench bench-gpu bento image release check-tag \
	test-slow test-browser test-image test-ray bulk fuzz audit soak lock clean

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

$(READY_BULK): $(READY)
	$(PIP) --editable '.[$(EXTRAS),bulk]'
	@touch $@

$(READY_IMAGE): pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[cpu,image]'
	@touch $@

$(READY_DEV): $(READY)
	$(PIP) --editable '.[$(DEVICE),import,modelscope,bulk,dev]'
	@touch $@

$(READY_BENCH): $(READY_DEV)
	$(PIP) --editable '.[cpu,bench]'
	@touch $@

test: lint types tests

lint: $(READY_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY_DEV)
	$(BIN)/mypy

tests: $(READY_DEV) models
	$(BIN)/pytest

bench: $(READY_BENCH) models
	$(BIN)/python benchmarks/limit.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/accuracy.py $(DATA)
	$(BIN)/python benchmarks/throughput.py $(DATA) --clients 1,8 --in-process --rapidocr-api --rapidocr \
		--rapidocr Global.use_cls=false Rec.rec_batch_num=1 \
		--rapidocr Global.use_cls=false Det.engine_type=openvino Rec.engine_type=openvino

bench-gpu: $(READY_DEV) models
	$(BIN)/python benchmarks/gpu.py
	$(BIN)/python benchmarks/gpu_service.py

# A Bento is built, and its models are imported, on any machine: DEVICE is that of the image.
bento: $(READY_IMAGE)
	@$(MAKE) --no-print-directory models DEVICE=cpu OCR_DEVICE=cpu
	@mkdir -p build
	$(BIN)/python deploy/variant.py > build/bentofile.yaml
	rm -rf $(BENTOML_HOME)/bentos/ocr/$(TAG)
	OCR_DEVICE=cpu PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/bentoml build --bentofile build/bentofile.yaml \
		--version $(TAG) --output tag

image: bento
	$(BIN)/bentoml containerize ocr:$(TAG) --backend $(BACKEND) --image-tag $(IMAGE):$(TAG) \
		--opt label=org.opencontainers.image.version=$(VERSION) \
		--opt label=org.opencontainers.image.revision=$(shell git rev-parse HEAD) $(PUBLISH) $(OPTIONS)

release: BACKEND = buildx
release: PUBLISH = --opt push $(ATTESTATIONS)
release: image

check-tag:
	@test "$(GIT_TAG)" = "v$(VERSION)" || { echo "tag $(GIT_TAG), but version $(VERSION)"; exit 1; }

test-slow: $(READY_DEV) models
	$(BIN)/pytest -m slow

test-browser: $(READY_DEV) models
	$(BIN)/pytest -m browser tests/browser

bulk: $(READY_BULK) models
	exec $(BIN)/python bulk.py $(INPUT) $(OUTPUT) $(OPTIONS)

test-ray: $(READY_DEV) models
	$(BIN)/pytest -m ray tests/bulk_ray

fuzz: $(READY_DEV) models
	OCR_FUZZ_S=$(SECONDS) $(BIN)/pytest -m fuzz -rP tests/fuzz

audit: $(READY_DEV)
	$(BIN)/python deploy/audit.py

soak: $(READY_DEV) models
	$(BIN)/python benchmarks/soak.py $(DATA) --requests $(REQUESTS)

test-image: $(READY_DEV) $(READY_IMAGE)
	tests/image/install
	$(BIN)/pytest -m image -rP tests/image

lock: $(READY_IMAGE)
	for device in cpu cuda; do \
		$(BIN)/uv pip compile pyproject.toml --extra $$device --extra tracing --python-version 3.11 \
			--python-platform x86_64-manylinux_2_28 --generate-hashes --upgrade --quiet \
			--custom-compile-command "make lock" --output-file deploy/requirements/$$device.txt; \
	done

clean:
	rm -rf .venv .bentoml .cache build *.egg-info .mypy_cache .pytest_cache .ruff_cache
