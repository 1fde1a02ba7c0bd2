# Two commands on a fresh machine (Linux, Python 3.11 or newer, make):
#
#   make generate PROMPT="蓝白格子长袖衬衫,挂在白墙前"    four labelled pictures and sheet.png in out/
#   make test                                            everything but the slow tests
#
# More: make generate PROMPT=... ARGS="-n 8 --seed 7", make test-slow, make check, make clean.
# PIP_INDEX_URL and the rest of pip's environment are honoured.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TORCH_VERSION ?= 2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
VENV ?= .venv

PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test

# The prompt reaches the program through the environment, byte for byte: neither make
# nor the shell reads the quotes, dollars and spaces in it.
override PROMPT := $(value PROMPT)
export PROMPT

.PHONY: generate install test test-slow check clean
.DEFAULT_GOAL := generate

generate: $(INSTALLED)
	@$(VENV)/bin/mmgen generate -n 4 -o out $(ARGS) -- "$$PROMPT"

install: $(INSTALLED)

test: $(INSTALLED_TEST)
	$(VENV)/bin/pytest -m "not slow" $(ARGS)

test-slow: $(INSTALLED_TEST)
	$(VENV)/bin/pytest -m slow $(ARGS)

check: $(INSTALLED_TEST)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo "mmgen needs Python 3.11 or newer; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) -V 2>&1)." >&2; \
		echo "Install one and name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }

# torch first: with a GPU the build from PyPI, else the CPU build, which is a tenth of its
# size; found on the configured index, on PyTorch's own, or replaced by the one from PyPI.
$(INSTALLED): pyproject.toml | $(VENV)/bin/python
	@echo "mmgen: installing into $(VENV); this happens once and takes some minutes"
	@if nvidia-smi -L >/dev/null 2>&1; then \
		$(PIP) "torch>=2.11" && { $(PIP) -q "xformers>=0.0.35" || \
			echo "mmgen: without xformers; PyTorch's own attention is used"; }; \
	elif $(VENV)/bin/python -c 'import torch' 2>/dev/null; then \
		echo "mmgen: torch is there already"; \
	else \
		$(PIP) "torch==$(TORCH_VERSION)+cpu" || \
		$(PIP) "torch==$(TORCH_VERSION)+cpu" --extra-index-url "$(TORCH_INDEX)" || \
		$(PIP) "torch>=2.11"; \
	fi
	@$(PIP) -q -e .
	@touch $@

$(INSTALLED_TEST): pyproject.toml $(INSTALLED)
	@$(PIP) -q -e ".[test]"
	@touch $@
