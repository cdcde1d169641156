# The commands of this repository. Everything is set up in .venv; uv is used when it is there.
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
KEEP ?=
ASK ?=
FRESH ?=
UNSANDBOXED ?=

.PHONY: demo test test-fast lint bench serve clean setup dev constraints

demo: setup            ## the whole road on the sample project, offline (KEEP=1 leaves the server up, ASK=1 asks you)
	$(BIN)/storyloom demo $(if $(KEEP),--keep) $(if $(ASK),--ask) $(if $(FRESH),--fresh) $(if $(UNSANDBOXED),--unsandboxed)

test: dev              ## all tests; what is missing on this machine is skipped with its reason
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: dev              ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p .cache/types && ln -sfn ../.. .cache/types/storyloom
	MYPYPATH=.cache/types $(BIN)/mypy -p storyloom.domain -p storyloom.blocks -p storyloom.tasks -p storyloom.flows \
		-p storyloom.analytics -p storyloom.deployments -p storyloom.cli -p storyloom.rehearsal -p storyloom.method
	$(BIN)/lint-imports

bench: dev             ## the numbers that the README claims
	$(BIN)/python -m benchmarks.cli
	$(BIN)/python -m benchmarks.board
	$(BIN)/python -m benchmarks.edits
	$(BIN)/python -m benchmarks.door

serve: setup           ## serve all flows; start them from the Prefect UI
	$(BIN)/storyloom serve

clean:                 ## remove what the demo made; end a server that it left running
	-test -x $(BIN)/storyloom && $(BIN)/storyloom clean
	rm -rf .demo build *.egg-info

setup: .venv/.installed
dev: .venv/.installed-dev

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found. Install it, or say PYTHON=/path/to/python3."; exit 2; }
ifdef UV
	uv venv -q --allow-existing --python $(PYTHON) .venv
else
	$(PYTHON) -m venv .venv
endif

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
ifdef UV
	uv pip install -q --python $(BIN)/python -c constraints.txt -e .
else
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
endif
	touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
ifdef UV
	uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[dev]'
else
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
endif
	touch $@ .venv/.installed

constraints:           ## resolve the pinned versions anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --extra dev --no-header --no-annotate pyproject.toml -o constraints.txt
	sed -i '1i # Versions that work together on Python 3.11 and 3.12. Made by `make constraints`.' constraints.txt
