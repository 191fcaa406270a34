# Every target is one command; anything longer is a Python module under infra/ with tests.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# Bytecode lies in .venv and __pycache__; without it every process of the stack starts half as fast.
unexport PYTHONDONTWRITEBYTECODE
RUN := $(PYTHON) infra/dev/environment.py && PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

# Options of the form name=value, passed on as they were given.
OPTIONS := suite k mode service upgrade do minutes histories package seed base json rounds part
base ?= origin/main

# What was given on the command line as name=value goes to the deploy verbs as it is.
DEPLOY := $(RUN) -m deploy
GIVEN = $(filter-out PYTHON=% REGISTRY=%,$(MAKEOVERRIDES))
VERBS := deploy rollback provision status logs exec releases audit drift unlock backup restore

# A misspelt option would do nothing, or everything; the deploy verbs find theirs by themselves.
SMALL := a% b% c% d% e% f% g% h% i% j% k% l% m% n% o% p% q% r% s% t% u% v% w% x% y% z%
NAMES := $(foreach name,$(filter $(SMALL),$(.VARIABLES)),$(if $(filter command,$(origin $(name))),$(name)))
ifeq ($(host)$(env)$(filter $(VERBS),$(MAKECMDGOALS)),)
ifneq ($(filter-out $(OPTIONS),$(NAMES)),)
$(error no option is called '$(firstword $(filter-out $(OPTIONS),$(NAMES)))'; there are: $(OPTIONS))
endif
endif

.PHONY: help demo tests chaos mutants bench lint typecheck format vulnerabilities
.PHONY: sync-services explain secrets generate-from-spec events-breaking
.PHONY: $(VERBS)
.PHONY: docker-engine dev-start dev-stop log dead-letters lock

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the whole stack here with an offline Telegram: no token, no Docker, no root
	@$(RUN) -m demo

tests: ## Run the test suites, which AGENTS.md names [suite=NAME] [k="WORDS of pytest's -k"]
	@$(RUN) -m infra.dev.suites $(suite) $(if $(k),-k "$(k)")

chaos: ## Kill every part under load, or try random histories [minutes=60 | histories=N] [seed=N]
	@$(RUN) -m tests.chaos $(if $(minutes),--minutes $(minutes)) $(if $(histories),--histories $(histories)) $(if $(seed),--seed $(seed))

mutants: ## Show what the tests of a package let pass [package=streams|lease|poller|outbox|inbox]
	@$(RUN) -m infra.dev.mutants $(package)

bench: ## Measure Herald beside its peers, in minutes [json=1, rounds=N, part=publish|drain|consume|sync|provision|deploy]
	@$(RUN) -m tests.benchmarks $(if $(json),--json) $(if $(rounds),--rounds $(rounds)) $(part)

lint: ## Check style, shell, Dockerfiles, schemas and drift of everything generated
	@$(RUN) -m infra.dev.lint

vulnerabilities: ## Hold every locked package to the public database of weaknesses (OSV)
	@$(RUN) -m infra.dev.vulnerabilities

typecheck: ## Check types (mypy strict)
	@$(RUN) -m infra.dev.typecheck

format: ## Format the Python sources and apply safe fixes
	@$(RUN) -m infra.dev.format

sync-services: ## Render services.yml into Compose files and .env.example [mode=check|create]
	@$(RUN) -m infra.stack sync $(if $(mode),--mode $(mode))

explain: ## Show every resolved value of a service and where it came from [service=NAME]
	@$(RUN) -m infra.stack explain $(service)

secrets: ## Make the passwords that prod needs in secrets/, or an environment's [env=NAME set=SECRET]
	@$(if $(env),$(DEPLOY) secrets $(GIVEN),$(RUN) -m infra.stack secrets)

generate-from-spec: ## Generate schemas, events and routers from the specs [mode=check]
	@$(RUN) -m infra.codegen $(if $(mode),--mode $(mode))

events-breaking: ## Fail where a change of the specs breaks readers of events [base=origin/main]
	@$(RUN) -m infra.codegen.breaking $(base)

docker-engine: ## Install and start Docker and Compose on a Debian machine (root; asks nothing)
	@$(PYTHON) -m infra.engine

dev-start: ## Build the images and start the stack [COMPOSE_PROFILES=tg|sim]
	@$(RUN) -m infra.dev.compose start

dev-stop: ## Stop the stack; volumes are kept
	@$(RUN) -m infra.dev.compose stop

log: ## Follow the logs of one service, or of all [service=NAME]
	@$(RUN) -m infra.dev.compose log $(service)

dead-letters: ## Show, replay or drop what could not be published or handled [do="replay all" host=…]
	@$(if $(host)$(env),$(DEPLOY) dead-letters $(GIVEN),$(RUN) -m infra.dev.dead_letters $(do))

lock: ## Lock the dependencies by hash [upgrade=1], or a server against deploys [host=… reason=… dry=1]
	@$(if $(host)$(env),$(DEPLOY) lock $(GIVEN),$(PYTHON) -m infra.dev.lock $(if $(upgrade),--upgrade))

provision: ## Make a bare server ready [host=NAME | env=NAME, dry=1]
	@$(DEPLOY) provision $(GIVEN)

deploy: ## Release this checkout on servers [host=NAME | env=NAME, from=FOLDER dry=1 REGISTRY=ADDRESS]
	@$(DEPLOY) deploy $(GIVEN)

rollback: ## Go back to the previous release [host=… to=RELEASE dry=1]
	@$(DEPLOY) rollback $(GIVEN)

status: ## What runs on a server; exits with 2 where it is not as released [host=…]
	@$(DEPLOY) status $(GIVEN)

logs: ## What a server's containers have written [host=… service=NAME lines=100 follow=1]
	@$(DEPLOY) logs $(GIVEN)

exec: ## Run a command in a server's container [host=… service=NAME command="…" dry=1]
	@$(DEPLOY) exec $(GIVEN)

releases: ## The releases that a server keeps [host=…]
	@$(DEPLOY) releases $(GIVEN)

audit: ## What was done on a server, as JSON lines [host=…]
	@$(DEPLOY) audit $(GIVEN)

drift: ## What differs from the release; exits with 2 where something does [host=…]
	@$(DEPLOY) drift $(GIVEN)

unlock: ## Let everybody deploy to a server again [host=… dry=1]
	@$(DEPLOY) unlock $(GIVEN)

backup: ## Save a server's Redis and PostgreSQL, on the server and here too [host=… to=FOLDER dry=1]
	@$(DEPLOY) backup $(GIVEN)

restore: ## Put a backup in place of a server's data [host=… from=BACKUP|FOLDER dry=1]
	@$(DEPLOY) restore $(GIVEN)
