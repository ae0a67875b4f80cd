PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_INDEX := .longctx/demo
AUDIT ?= uvx pip-audit
PYTEST = $(BIN)/pytest --numprocesses auto --maxprocesses 4
# What depends on the processor's instructions: the encoder, the engine and its attention
PROCESSOR_TESTS := tests/indexes/encoders/test_encoders.py tests/longctx/engine/test_engine.py tests/longctx/engine/test_attention.py

.PHONY: demo test test-avx2 test-sse41 test-random test-families test-faults test-crowd test-fuzz sbom audit check docs bench bench-real figures constraints clean

## demo: install, ask this project's own documentation in English and in Japanese, and watch a model's window grow
demo: $(VENV)/installed
	$(BIN)/longctx ingest docs/getting-started.md docs/ingesting.md README.ja.md --index $(DEMO_INDEX)
	@echo
	$(BIN)/longctx ask "What happens when a file cannot be read?" --index $(DEMO_INDEX)
	@echo
	$(BIN)/longctx ask "変更のないファイルはどうなりますか？" --index $(DEMO_INDEX)
	@echo
	$(BIN)/python examples/grow_the_window.py

## test: the whole test suite
# in the order of the folders, since the examples, which take longest, are to begin first
test: $(VENV)/installed
	$(PYTEST) --dist loadfile --no-loadscope-reorder

## test-avx2, test-sse41: the tests that depend on the processor, as on an older one
test-avx2: export ATEN_CPU_CAPABILITY = avx2
test-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
test-sse41: export ATEN_CPU_CAPABILITY = default
test-sse41: export ONEDNN_MAX_CPU_ISA = SSE41
test-avx2 test-sse41: $(VENV)/installed
	$(PYTEST) --dist loadfile $(PROCESSOR_TESTS)

## test-random: the property tests, with thousands of examples that are new each time; a quarter of an hour on two cores
test-random: $(VENV)/installed
	$(PYTEST) --dist worksteal -m hypothesis --hypothesis-profile random --timeout 3600

## test-faults: the command killed, interrupted, without a disk, with flipped bits, twice at once; half an hour, and `cc`
# wide: make test-faults FAULTS="--kills 1000 --errors 300 --flips 1000"
FAULTS := --kills 70 --errors 70 --flips 60
test-faults: $(VENV)/installed
	$(BIN)/python tests/faults/run.py $(FAULTS)

## test-crowd: ten writers and fifty readers on one index; ten minutes
CROWD := --writers 10 --readers 50 --minutes 10
test-crowd: $(VENV)/installed
	$(BIN)/python tests/faults/crowd.py $(CROWD)

## test-fuzz: coverage-guided fuzzing of the readers and of all else that others write; Linux, and half an hour
# wide: make test-fuzz FUZZ="--minutes 60"; one target: FUZZ="--only 'reader .pdf'"
FUZZ := --minutes 1
test-fuzz: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[fuzz]"
	$(BIN)/python tests/fuzz/run.py $(FUZZ)

## sbom: every package that is installed here and its version, in CycloneDX's form, in .longctx/sbom.json
sbom: $(VENV)/installed
	mkdir -p .longctx
	$(BIN)/python tests/support/bill_of_materials.py > .longctx/sbom.json

## audit: the pinned versions against the advisories that are known to PyPI and OSV; needs the network and uv
# strict: a package that could not be looked up is a failure, not a pass
audit:
	$(AUDIT) --strict --requirement constraints.txt --no-deps --disable-pip

## test-families: every causal family of transformers, right or refused; ten minutes on two cores
test-families: export LONGCTX_ALL_FAMILIES = 1
test-families: $(VENV)/installed
	$(PYTEST) --dist worksteal --timeout 600 tests/longctx/models/test_every_family.py

## check: formatting, lint, types, which package may import which, and that the documentation builds
check: $(VENV)/installed docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## docs: the documentation with its API reference, in site/; a link that leads nowhere is an error
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/installed
	$(BIN)/mkdocs build --strict

## bench: every benchmark that needs no data of yours
bench: $(VENV)/installed
	$(BIN)/python benchmarks/bench_cli.py
	$(BIN)/python benchmarks/bench_rope.py
	$(BIN)/python benchmarks/bench_ingest_memory.py

## bench-real: a real model on this CPU beside transformers and llama.cpp; under an hour on two cores, and 12 GB of memory
# MODEL is a transformers folder, GGUF the same model in Q4_K_M; DATA holds XQuAD, JSQuAD, and a book as plain text
MODEL ?= $(HOME)/.cache/longctx-models/qwen2.5-coder-1.5b
GGUF ?= $(MODEL)-instruct-q4_k_m.gguf
DATA ?= ../shared/data
BOOK ?= $(DATA)/books/news-from-nowhere.txt
bench-real: OUT := .longctx/bench-real
bench-real: $(VENV)/installed
	mkdir -p $(OUT)
	$(BIN)/python benchmarks/bench_decode.py $(MODEL) --data $(DATA) --gguf $(GGUF) --work $(OUT)
	$(BIN)/python benchmarks/bench_growth.py $(MODEL) --text $(BOOK) --minutes 4 --plot $(OUT)/growth.png
	$(BIN)/python benchmarks/bench_second_question.py --model $(MODEL) --data $(DATA) --count 4 --prompt-tokens 1200 \
		--new-tokens 24 --out $(OUT)/second.jsonl

## figures: measure the demo model anew, and draw the pictures of the README; some minutes
figures: $(VENV)/installed
	$(BIN)/longctx probe examples/models/passkey-llama --methods none,linear,ntk,yarn --lengths 256,512,1k,2k,4k,8k \
		--tasks needle,perplexity --trials 4 --windows 8 --out .longctx/figures
	mkdir -p docs/images
	cp .longctx/figures/heatmap-needle-en.png .longctx/figures/perplexity.png docs/images/

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else "longctx needs Python 3.10 or newer, and $(PYTHON) is %d.%d: run `make PYTHON=python3.12`" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

## constraints: pin what is not pinned yet, for every Python from 3.10 on (needs uv); UPGRADE=--upgrade pins all anew
constraints:
	# torch pins its own libraries
	echo 'torch==2.13.0' \
		| uv pip compile --quiet --universal --python-version 3.10 --all-extras $(UPGRADE) --no-annotate --no-header \
			--constraint /dev/stdin --output-file constraints.txt pyproject.toml
	grep -Ev '^(nvidia|cuda|triton)' constraints.txt > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) .longctx site .mypy_cache .ruff_cache .pytest_cache .hypothesis
