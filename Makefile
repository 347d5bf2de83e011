# demo · test · bench · build · deploy, and the parts of them. Python 3, make and git are all that must be there already.
SHELL := /bin/bash -eu -o pipefail
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := $(UV) run --frozen --quiet


.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo    deploy to an emulator on this machine and watch backups happen"
	@echo "make test    every check and every test"
	@echo "make bench   measure against the alternatives; writes tests/benchmarks/RESULTS.md"
	@echo "make build   build the function as it is deployed"
	@echo "make deploy  build and deploy to your AWS account (sam deploy --guided)"

$(UV):
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode
	touch $@

.PHONY: test lint unit
test: lint
	$(RUN) pytest

lint: .venv/.synced
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python -m local.tools sam validate --lint
	$(RUN) python -m local.tools cfn-lint template.yaml
