# demo · test · bench · build · deploy, and their parts. Requires only Python 3, make and git.
SHELL := /bin/bash -eu -o pipefail
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := $(UV) run --frozen --quiet
TOOL := $(RUN) python -m local.tools

.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo               deploy to an emulator on this machine and watch backups happen"
	@echo "make test               every check and every test"
	@echo "make bench              measure against the alternatives; writes tests/benchmarks/RESULTS.md"
	@echo "make build              build the functions as they are deployed"
	@echo "make deploy             build, and deploy to your AWS account (sam deploy --guided)"
	@echo "make check STACK=...    run the preflight of a deployed stack (also REGION=... and PROFILE=...)"
	@echo "make token STACK=...    ask for the token, unseen, and store it in the stack's secret (also REGION=... and PROFILE=...)"
	@echo "make redrive STACK=...  send a deployed stack's dead letters back to be retried (also REGION=... and PROFILE=...)"
	@echo "make soak               the property test with 100,000 examples"
	@echo "make fuzz               fuzz whatever reads bytes from outside, 5 minutes a harness (also SECONDS=..., RUNS=..., TARGET=...)"
	@echo "make mutants            plant mistakes in copies of the code, and show which test catches each"
	@echo "make usual-way          the same faults against Commvault's SDK with Lambda's retries"
	@echo "make importtime         profile the imports of the built function"

# ---- The environment: uv, and through it Python 3.13 and the locked packages

$(UV):
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode
	touch $@

# ---- See it work, check it, measure it

.PHONY: demo test lint unit soak fuzz mutants bench usual-way importtime
demo: .venv/.synced
	$(RUN) python -m local.demo

test: lint
	$(RUN) pytest -n 4 --dist loadgroup

lint: .venv/.synced
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	PYTHONPATH=src $(RUN) lint-imports
	$(TOOL) sam validate --lint
	$(TOOL) cfn-lint template.yaml

unit: .venv/.synced
	$(RUN) pytest tests/unit

soak: .venv/.synced
	PROPERTY_PROFILE=soak $(RUN) pytest tests/property -s --timeout 7200

fuzz: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.fuzz $(TARGET) $(if $(RUNS),--runs $(RUNS)) $(if $(SECONDS),--seconds $(SECONDS))

mutants: .venv/.synced
	PYTHONPATH=. $(RUN) python -m tests.mutants

bench: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.benchmarks

usual-way: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.benchmarks.usual_way

importtime: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.benchmarks.imports

# ---- Your AWS account

.PHONY: build deploy check token redrive
build: .venv/.synced
	$(TOOL) sam build

deploy: build
	$(TOOL) sam deploy --guided

check token redrive: .venv/.synced
	@test -n "$(STACK)" || { echo "Name the stack: make $@ STACK=rds-snap-backup" >&2; exit 2; }
	@$(RUN) python -m ops.$@ "$(STACK)" $(if $(REGION),--region "$(REGION)") $(if $(PROFILE),--profile "$(PROFILE)")
