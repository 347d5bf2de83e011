# demo · playground · test · bench · build · deploy, and their parts. Requires only Python 3, make and git.
SHELL := /bin/bash -eu -o pipefail
UV := .tools/bin/uv
RUN := $(UV) run --frozen --quiet
# Every process would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
TOOL := $(RUN) python -m local.tools

# Values from the command line or the environment are never expanded, neither here nor by the shell: a recipe reads them in
# the environment, and `$(value …)` makes each the text that was given.
VALUES := STACK REGION PROFILE CONFIG GUIDED TARGET RUNS SECONDS ONLY QUICK MEMBER_DATABASE MEMBER_PROFILE
$(foreach name,$(VALUES),$(if $(value $(name)),$(eval override $(name) := $$(value $(name)))))
export $(VALUES)

.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo "make demo               deploy to an emulator on this machine and watch backups happen"
	@echo "make playground         keep such a stack up, with two accounts and forty databases, to try the commands on; Ctrl-C ends it"
	@echo "make test               every check and every test"
	@echo "make lint               every check; of the templates only when one has changed"
	@echo "make unit               the tests of pure code, template and documents"
	@echo "make bench              measure against the alternatives; writes benchmarks/RESULTS.md (QUICK=1: little of each, written nowhere)"
	@echo "make build              build the functions as they are deployed"
	@echo "make package            build, and write to dist/ a zip for the AWS CLI, the same for Terraform and CDK, SBOM, the command line's wheel and its hashed requirements, checksums"
	@echo "make deploy             ask the essentials once, build, and deploy to your AWS account (also STACK=..., REGION=..., PROFILE=..., CONFIG=..., GUIDED=1)"
	@echo "make verify STACK=...   prove on AWS what no emulator can; for a stack made for that (docs/verify-on-aws.md; also REGION=... and PROFILE=...)"
	@echo "make soak               the property test with 100,000 examples"
	@echo "make fuzz               fuzz what reads bytes from outside, 5 minutes a harness (also SECONDS=..., RUNS=..., TARGET=...)"
	@echo "make mutants            plant mistakes in copies of the code, and show which test catches each"
	@echo "make pictures           make the pictures of the documents again; needs Chromium"
	@echo "make usual-way          the same faults against Commvault's SDK with Lambda's retries"
	@echo "make importtime         profile the imports of the built function"
	@echo "make lock               renew the locks after a pin has changed"
	@echo "make vulnerabilities     ask the OSV database about every locked package"

# ---- The environment: uv, and through it Python 3.13 and the locked packages

$(UV): tools/uv.txt
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r tools/uv.txt
	touch $@

.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(UV) sync --frozen --quiet --compile-bytecode
	ln -sf ../../tools/rds-snap-backup .venv/bin/rds-snap-backup
	touch $@

# ---- See it work, check it, measure it

.PHONY: demo playground test lint unit soak fuzz mutants bench pictures usual-way importtime
demo: .venv/.synced
	$(RUN) python -m local.demo

playground: .venv/.synced
	$(RUN) python -m local.playground

test: lint
	$(RUN) pytest -n 6 --dist loadgroup

TEMPLATES := template.yaml member.yaml examples/chat/template.yaml examples/events-out/template.yaml examples/fleet/roles.yaml local/commserve_lambda/template.yaml
# Two at a time; each is also a target. `collect` compiles the tests once, before several processes need them.
LINTERS := mypy checkov sam-validate cfn-lint ruff-check collect ruff-format lint-imports bandit zizmor
lint: .venv/.synced
	@$(MAKE) --no-print-directory --keep-going --jobs 2 $(LINTERS)
.PHONY: $(LINTERS)
$(LINTERS): .venv/.synced
collect:
	@found=$$($(RUN) pytest --collect-only -q) || { echo "$$found"; exit 1; }
ruff-check:
	$(RUN) ruff check
ruff-format:
	$(RUN) ruff format --check
mypy:
	$(RUN) mypy
lint-imports:
	PYTHONPATH=src $(RUN) lint-imports
# The checks of templates take longest, and are made again only when a template or a tool has changed.
CHECKED := build/checked
checkov sam-validate cfn-lint: %: $(CHECKED)/%
$(CHECKED)/checkov $(CHECKED)/sam-validate $(CHECKED)/cfn-lint: $(TEMPLATES) samconfig.toml $(wildcard tools/*.txt) | .venv/.synced
$(CHECKED)/sam-validate:
	$(TOOL) sam validate --lint
	@mkdir -p $(CHECKED) && touch $@
# `sam validate --lint` has asked it about the stack's own.
$(CHECKED)/cfn-lint:
	$(TOOL) cfn-lint $(filter-out template.yaml,$(TEMPLATES))
	@mkdir -p $(CHECKED) && touch $@
$(CHECKED)/checkov:
	$(TOOL) checkov --skip-download --framework cloudformation --compact --quiet --file $(TEMPLATES)
	@mkdir -p $(CHECKED) && touch $@
bandit:
	$(TOOL) bandit --quiet --recursive src
	$(TOOL) bandit --quiet --recursive local
zizmor:
	$(TOOL) zizmor --offline --pedantic --quiet . examples/fleet

unit: .venv/.synced
	$(RUN) pytest -n 2 tests/unit

soak: .venv/.synced
	PROPERTY_PROFILE=soak $(RUN) pytest tests/property -s --timeout 7200

fuzz: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.fuzz $(if $(TARGET),"$$TARGET") $(if $(RUNS),--runs "$$RUNS") \
		$(if $(SECONDS),--seconds "$$(printenv SECONDS)")

mutants: .venv/.synced
	PYTHONPATH=. $(RUN) python -m tests.mutants

bench: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m benchmarks $(if $(QUICK),--quick)

pictures: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m tests.documents.pictures
	$(RUN) python -m local.recording
	$(RUN) python -m local.demo --svg docs/images/demo.svg

usual-way: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m benchmarks.usual_way

importtime: .venv/.synced
	PYTHONPATH=src:. $(RUN) python -m benchmarks.imports

# ---- What is installed: `tools/NAME.in` pins a tool, `tools/NAME.txt` all that is installed for it, with hashes

.PHONY: lock vulnerabilities
lock: $(UV)
	$(UV) lock --quiet
	$(UV) export --frozen --quiet --no-dev --no-annotate --output-file src/requirements.txt
	$(UV) export --frozen --quiet --no-hashes --no-annotate --only-group cli | \
		$(UV) pip compile --quiet --generate-hashes --only-binary :all: --universal --python-version 3.12 --no-annotate \
			--constraints /dev/stdin src/pyproject.toml --output-file src/command-line.txt
	for pins in tools/*.in; do \
		$(UV) pip compile --quiet --generate-hashes --only-binary :all: --universal --python-version 3.13 --no-annotate \
			"$$pins" --output-file "$${pins%.in}.txt"; \
	done

vulnerabilities: .venv/.synced
	$(RUN) python -m local.vulnerabilities

# ---- Your AWS account

.PHONY: build package
build: .venv/.synced
	$(TOOL) sam build

package: .venv/.synced
	$(RUN) python -m local.package

# `NAME="$$VALUE"` with its equals sign, and `--` before the arguments: a value that begins with a hyphen is no option.
PLACE := $(if $(REGION),--region="$$REGION") $(if $(PROFILE),--profile="$$PROFILE")
.PHONY: deploy verify
deploy: .venv/.synced
	@$(RUN) rds-snap-backup deploy $(PLACE) $(if $(CONFIG),--config="$$CONFIG") \
		$(if $(GUIDED),--guided) -- $(if $(STACK),"$$STACK")

verify: .venv/.synced
	@PYTHONPATH=src:. $(RUN) python -m tests.aws verify $(PLACE) $(if $(ONLY),--only="$$ONLY") \
		$(if $(MEMBER_DATABASE),--member-database="$$MEMBER_DATABASE") \
		$(if $(MEMBER_PROFILE),--member-profile="$$MEMBER_PROFILE") -- $(if $(STACK),"$$STACK")
