# Every target is one command; anything longer is a Python module under infra/ with tests.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
# Bytecode lies in .venv and __pycache__; without it every process of the stack starts half as fast.
unexport PYTHONDONTWRITEBYTECODE
RUN := $(PYTHON) infra/dev/environment.py && PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python

base ?= origin/main

# What was given on the command line as name=value goes to the deploy verbs as it is.
DEPLOY := $(RUN) -m deploy
GIVEN = $(filter-out PYTHON=% REGISTRY=%,$(MAKEOVERRIDES))
VERBS := deploy rollback provision replace status exec releases audit drift unlock backup restore

# A target takes the options that its line of `make help` names: a misspelt one would do nothing, or
# everything. Those behind host= or env= are a deploy verb's, which finds its own by itself.
SETTINGS := PYTHON REGISTRY COMPOSE_PROFILES CI
NAMES := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
GIVEN_NAMES := $(filter-out $(SETTINGS),$(NAMES))
ifneq ($(GIVEN_NAMES),)
ifeq ($(if $(filter logs log events dead-letters secrets lock,$(MAKECMDGOALS)),$(host)$(env))$(filter $(VERBS),$(MAKECMDGOALS)),)
OPTIONS := $(shell awk -F '[][]' '/^($(subst $() ,|,$(MAKECMDGOALS))): ## / {for (i = 2; i <= NF; i += 2) {sub(/(host|env)=.*/, "", $$i); print $$i}}' $(firstword $(MAKEFILE_LIST)) | grep -oE '[a-z]+=' | tr -d =)
UNKNOWN := $(filter-out $(OPTIONS),$(GIVEN_NAMES))
ifneq ($(UNKNOWN),)
$(error make $(or $(MAKECMDGOALS),help) takes no option '$(firstword $(UNKNOWN))'; there are: $(or $(OPTIONS),none))
endif
endif
endif

.PHONY: help demo tests chaos mutants bench lint typecheck format vulnerabilities
.PHONY: new sync-services explain secrets generate-from-spec events-breaking
.PHONY: $(VERBS)
.PHONY: docker-engine dev-start dev-stop logs log events dead-letters pin lock

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Run the whole stack here with an offline Telegram: no token, no Docker, no root
	@$(RUN) -m demo

tests: ## Run the test suites, which AGENTS.md names [suite=NAME] [k="WORDS of pytest's -k"]
	@$(RUN) -m infra.dev.suites $(suite) $(if $(k),-k "$(k)")

chaos: ## Kill every part under load, or try random histories [minutes=60 | histories=N | servers=3] [seed=N]
	@$(RUN) -m $(if $(servers),tests.failover,tests.chaos) $(if $(minutes),--minutes $(minutes)) $(if $(histories),--histories $(histories)) $(if $(seed),--seed $(seed))

mutants: ## Show what the tests of a package let pass [package=streams|publish|consume|dead_letters|lease|poller|outbox|inbox|cutover] [most=N] [seed=N]
	@$(RUN) -m infra.dev.mutants $(package) $(if $(most),--most $(most)) $(if $(seed),--seed $(seed))

bench: ## Measure Herald beside its peers, in minutes [json=1, rounds=N, part=publish|drain|answer|consume|observe|sync|scale|million|provision|deploy]
	@$(RUN) -m tests.benchmarks $(if $(json),--json) $(if $(rounds),--rounds $(rounds)) $(part)

lint: ## Check style, shell, Dockerfiles, schemas and drift of everything generated
	@$(RUN) -m infra.dev.lint

vulnerabilities: ## Hold every locked package to the public database of weaknesses (OSV)
	@$(RUN) -m infra.dev.vulnerabilities

typecheck: ## Check types (mypy strict)
	@$(RUN) -m infra.dev.typecheck

format: ## Format the Python sources and apply safe fixes
	@$(RUN) -m infra.dev.format

new: ## Make a clone a project of your own [name=NAME without="SERVICE …"]
	@$(RUN) -m infra.new --name "$(name)" $(if $(without),--without "$(without)")

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

dev-start: ## Build the images and start the stack; at a terminal a save restarts its service [COMPOSE_PROFILES=tg|sim]
	@$(RUN) -m infra.dev.compose start

dev-stop: ## Stop the stack; volumes are kept
	@$(RUN) -m infra.dev.compose stop

logs: ## Follow what the containers write, or see a server's [service=NAME, host=… lines=100 follow=1]
	@$(if $(host)$(env),$(DEPLOY) logs $(GIVEN),$(RUN) -m infra.dev.compose log $(service))

log: ## Called make logs from now on [service=NAME]
	@echo "make log is make logs now" >&2 && $(MAKE) --no-print-directory logs

events: ## Follow what lands in the streams [event=NAME user=ID since=10min json=1, host=…]
	@$(RUN) -m infra.dev.events $(filter-out COMPOSE_PROFILES=% CI=%,$(GIVEN))

dead-letters: ## Show, replay or drop what could not be published or handled [do="replay all" host=…]
	@$(if $(host)$(env),$(DEPLOY) dead-letters $(GIVEN),$(RUN) -m infra.dev.dead_letters $(do))

pin: ## Pin the dependencies by version and hash, after a change of a pyproject.toml [upgrade=1]
	@$(PYTHON) -m infra.dev.lock $(if $(upgrade),--upgrade)

lock: ## Keep everybody from deploying to a server [upgrade=1 as make pin | host=… reason=… dry=1]
	@$(if $(host)$(env),$(DEPLOY) lock $(GIVEN),echo "to pin dependencies, make lock is make pin now" >&2 && $(MAKE) --no-print-directory pin)

provision: ## Make a bare server ready [host=NAME | env=NAME, dry=1]
	@$(DEPLOY) provision $(GIVEN)

replace: ## Make a new server ready in the place of a lost one of three, and have it join [host=NAME]
	@$(DEPLOY) replace $(GIVEN)

deploy: ## Release this checkout on servers [host=NAME | env=NAME, from=FOLDER without=NAME moving=NAME dry=1 REGISTRY=ADDRESS]
	@$(DEPLOY) deploy $(GIVEN)

rollback: ## Go back to the previous release [host=… to=RELEASE without=NAME dry=1]
	@$(DEPLOY) rollback $(GIVEN)

status: ## What runs on a server; exits with 2 where it is not as released [host=…]
	@$(DEPLOY) status $(GIVEN)

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

restore: ## Put a backup in place of the data of a server, or of three [host=… from=BACKUP|FOLDER dry=1]
	@$(DEPLOY) restore $(GIVEN)
