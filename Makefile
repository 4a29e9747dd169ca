PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow types suite docs clean

demo: $(VENV)/.installed
	$(BIN)/anomalib-federated demo --output results/demo

test: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(MAKE) --jobs 2 types suite

types:
	$(BIN)/mypy

# Exports have processes of their own, after all others: workers that had run them died of segmentation faults
# minutes later, in other tests, for a reason that is not understood.
suite:
	$(PYTEST) -m "not slow" --ignore tests/deploy
	$(PYTEST) -m "not slow" tests/deploy

# What would take CI beyond its time: before a release, and after a change of what these tests look at.
test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow --ignore tests/deploy
	$(PYTEST) -m slow tests/deploy

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir results/site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A failed installation leaves no stamp, so the next call tries again.
$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) results
