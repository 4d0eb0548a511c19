# Two commands do everything on a fresh machine with Python 3.11 or newer, make and git:
#   make demo   real rollouts become a trained model on a CPU
#   make test   linters, types and the whole suite
PYTHON ?= python3
VENV := .venv
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' scaffolder/__init__.py)
BIN := $(VENV)/bin
# Templates are imported where they stand; they must not fill up with bytecode. Our own code has its
# bytecode made before, or each of some thousand processes would compile all of it again.
COMPILE := $(BIN)/python -m compileall -q scaffolder runtime/rl_rollouts tests
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help demo test docs contracts schemas lint types format examples bench gpu release wheel clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/tool ## sample rollouts become a trained model (minutes, most of them for downloads)
	@$(COMPILE)
	$(BIN)/python examples/demo.py

test: $(VENV)/all lint types ## linters, types and the suite
	@$(COMPILE)
	@echo "Running the suite ..."
	$(BIN)/python -m pytest -n 2

docs: $(VENV)/docs ## the documentation as a site, in site/; a broken link or an old picture fails
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site
	$(BIN)/python examples/picture.py --check

contracts: $(VENV)/all $(VENV)/ray/done ## what each framework itself says to what we render; long runs, kills
	@$(COMPILE)
	RAY_PYTHON='$(CURDIR)/$(VENV)/ray/bin/python' PYTHONPATH=tests $(BIN)/python -m contracts $(ONLY)

schemas: $(VENV)/tool ## extract the config keys of each pinned framework again
	PYTHONPATH=tests $(BIN)/python -m contracts --schemas $(ONLY)

lint: $(VENV)/all ## ruff, on our code and on the template's plain Python
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(VENV)/all ## mypy --strict, on our code and on the template's plain Python
	$(BIN)/python tests/check_types.py

format: $(VENV)/all ## mend what ruff can mend
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

examples: $(VENV)/all ## write the samples, rendered projects, tables and picture again
	$(BIN)/python examples/make_rollouts.py
	$(BIN)/python examples/render_projects.py
	$(BIN)/python examples/readme_table.py
	$(BIN)/python examples/defaults_page.py
	$(BIN)/python examples/picture.py

bench: $(VENV)/all ## measure data preparation on 1 GB, and the custom trainer (about twenty minutes)
	-$(BIN)/python benchmarks/startup.py
	-$(BIN)/python benchmarks/bench.py --markdown benchmarks/README.md
	$(BIN)/python benchmarks/trainer_bench.py --markdown benchmarks/README.md

GPU_PYTHON ?= $(BIN)/python
gpu: ## on a machine with an NVIDIA GPU: what only it can show, in ten minutes; writes benchmarks/gpu.md
	$(GPU_PYTHON) benchmarks/gpu.py $(GPU)

release: $(VENV)/all ## put the templates into the history as the version of scaffolder/__init__.py
	$(BIN)/python -m scaffolder.history templates $(VERSION) scaffolder/templates.bundle
	$(BIN)/python examples/render_projects.py
	mkdir -p tests/released/$(VERSION)
	for project in examples/projects/*/; do cp $$project/.copier-answers.yml tests/released/$(VERSION)/$$(basename $$project).yml; done

wheel: $(VENV)/all ## build a wheel in dist/
	$(BIN)/python -m build --wheel

clean: ## remove environments, and what demo and docs wrote
	rm -rf .venv demo dist site

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, and $(PYTHON) is %d.%d; give another one: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The tool alone, with what makes the documentation, and with everything that its tests and the
# generated projects need.
$(VENV)/tool: $(VENV)/python pyproject.toml
	@echo "Installing the tool (under a minute) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/docs: $(VENV)/python pyproject.toml
	@echo "Installing the tool and Sphinx (under a minute) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/all: $(VENV)/python pyproject.toml
	@echo "Installing torch, TRL and the test tools: about 3 GB from PyPI on Linux, once ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[train,dev,docs]' --editable ./runtime
	@touch $@ $(VENV)/docs

# What a project's `pip install -e '.[ray]'` brings, apart from the rest: data preparation on Ray.
$(VENV)/ray/done: $(VENV)/python templates/{{base}}/pyproject.toml.jinja
	@echo "Installing Ray (under a minute) ..."
	$(PYTHON) -m venv $(VENV)/ray
	$(VENV)/ray/bin/python -m pip install --quiet --disable-pip-version-check $$($(PYTHON) -c 'import pathlib, re; text = pathlib.Path("templates/{{base}}/pyproject.toml.jinja").read_text(); print(*re.findall(r"\"((?:msgspec|PyYAML|ray\[data\]|tqdm|xxhash|zstandard)==[\w.]+)\"", text))')
	@touch $@
