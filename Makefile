# Every target is one command; anything longer is a Python module under infra/ with tests.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
RUN := $(PYTHON) infra/dev/environment.py && PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

# Options of the form name=value, passed on as they were given.
suite ?=
mode ?=
service ?=
upgrade ?=
do ?=
minutes ?=
seed ?=
base ?= origin/main
json ?=
rounds ?=
seconds ?=
part ?=

.PHONY: help demo tests chaos bench lint typecheck format
.PHONY: sync-services explain secrets generate-from-spec events-breaking
.PHONY: docker-engine dev-start dev-stop log dead-letters lock

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the whole stack here with an offline Telegram: no token, no Docker, no root
	@$(RUN) -m demo

tests: ## Run the test suites [suite=tg_bot|backend|telegram_sim|shared|infra|chaos|integration|e2e]
	@$(RUN) -m infra.dev.suites $(suite)

chaos: ## Kill every part under load and check that nothing is lost [minutes=60] [seed=N]
	@$(RUN) -m tests.chaos $(if $(minutes),--minutes $(minutes)) $(if $(seed),--seed $(seed))

bench: ## Measure Herald beside its peers, in minutes [json=1, rounds=N, seconds=N, part=publish|drain|consume|sync]
	@$(RUN) -m tests.benchmarks $(if $(json),--json) $(if $(rounds),--rounds $(rounds)) $(if $(seconds),--seconds $(seconds)) $(part)

lint: ## Check style, shell, Dockerfiles, schemas and drift of everything generated
	@$(RUN) -m infra.dev.lint

typecheck: ## Check types (mypy strict)
	@$(RUN) -m infra.dev.typecheck

format: ## Format the Python sources and apply safe fixes
	@$(RUN) -m infra.dev.format

sync-services: ## Render services.yml into Compose files and .env.example [mode=check|create]
	@$(RUN) -m infra.stack sync $(if $(mode),--mode $(mode))

explain: ## Show every resolved value of a service and where it came from [service=NAME]
	@$(RUN) -m infra.stack explain $(service)

secrets: ## Make the passwords that prod needs in secrets/, and name what you have to put there
	@$(RUN) -m infra.stack secrets

generate-from-spec: ## Generate schemas, events and routers from the specs [mode=check]
	@$(RUN) -m infra.codegen $(if $(mode),--mode $(mode))

events-breaking: ## Fail where a change of the specs breaks readers of events [base=origin/main]
	@$(RUN) -m infra.codegen.breaking $(base)

docker-engine: ## Install and start Docker and Compose on a Debian machine (root; asks nothing)
	@tests/docker/engine

dev-start: ## Build the images and start the stack [COMPOSE_PROFILES=tg|sim]
	@$(RUN) -m infra.dev.compose start

dev-stop: ## Stop the stack; volumes are kept
	@$(RUN) -m infra.dev.compose stop

log: ## Follow the logs of one service, or of all [service=NAME]
	@$(RUN) -m infra.dev.compose log $(service)

dead-letters: ## Show, replay or drop what could not be published or handled [do="replay all"]
	@$(RUN) -m infra.dev.dead_letters $(do)

lock: ## Resolve the dependencies into hash-locked requirement files [upgrade=1]
	@$(PYTHON) -m infra.dev.lock $(if $(upgrade),--upgrade)
