# Every target sets up what it needs by itself: an environment in .venv, pinned by constraints.txt.
#   make repro [STUDY=cpu|smoke|gpu|laion|my.yaml]   data, training, evaluation, fits, figures, book
#   make test                                        the test suite
#   make test-faults                                 kills, full disks, two at once: 15 minutes; root for small disks
#   make published                                   the paper's tables, claims, fits and figures; no training
#   make book                                        notebooks and book from the committed tables; no torch
#   make pdf                                         the same as a PDF, where LaTeX is installed
#   make lab                                         JupyterLab with the explore notebooks
#   make crate                                       RO-Crate metadata of the repository: ro-crate-metadata.json
#   make bench                                       benchmarks, side by side
PYTHON ?= python3
VENV ?= .venv
STUDY ?=
comma := ,
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Two runs side by side with one thread each beat one run with two; see the methods chapter.
export OMP_NUM_THREADS = 1
export PYTHONDONTWRITEBYTECODE =

.PHONY: repro test test-faults test-slurm test-all published book pdf readme licences lab bench verify crate clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The stamp of a group is written only after its installation succeeded.
$(VENV)/.%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing $(subst -,$(comma),$*) into $(VENV)"
	@$(PIP) -e '.[$(subst -,$(comma),$*)]'
	@touch $@


PIPELINE := $(VENV)/.train-book-pipeline
TESTING := $(VENV)/.train-book-pipeline-cluster-lab-test

repro: $(PIPELINE)
	@$(BIN)/clip-scaling repro $(if $(STUDY),--study $(STUDY))

published: $(PIPELINE)
	@$(BIN)/clip-scaling repro figure@published

test: $(TESTING)
	@$(BIN)/python -m pytest

test-all: $(TESTING)
	@$(BIN)/python -m pytest -m 'not slurm and not faults'

test-faults: $(TESTING)
	@$(BIN)/python -m pytest -m faults -rs

test-slurm: $(TESTING)
	@$(BIN)/python -m pytest -m slurm

book: $(VENV)/.book
	@$(BIN)/clip-scaling figure --all
	@$(BIN)/clip-scaling book

pdf: book
	@$(BIN)/clip-scaling book --pdf

# The picture and the diagram that README.md shows.
readme: $(VENV)/.book
	@$(BIN)/clip-scaling figure --study published --notebook zero_shot
	@cp figures/published/zero_shot.svg book/chapters/_static/zero_shot.svg
	@$(BIN)/clip-scaling dag --write

# The table of dependencies in the book.
licences: $(TESTING)
	@$(PIP) pip-licenses
	@$(VENV)/bin/pip-licenses --ignore-packages clip-scaling-laws pip-licenses prettytable --format=csv \
	  --output-file=book/chapters/_static/dependencies.csv

lab: $(VENV)/.book-lab
	@$(BIN)/jupyter lab notebooks

bench: $(TESTING)
	@$(BIN)/clip-scaling bench fit --save
	@$(BIN)/clip-scaling bench evaluate --save
	@$(BIN)/clip-scaling bench train --save
	@$(BIN)/clip-scaling bench subset --save

verify: $(PIPELINE)
	@$(BIN)/clip-scaling verify $(if $(STUDY),--study $(STUDY))

crate: $(VENV)/.book
	@$(BIN)/clip-scaling provenance --crate ro-crate-metadata.json

clean:
	rm -rf book/_build book/_generated figures
