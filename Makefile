# make demo: the whole pipeline from scratch on the embedded phone. make help: the other targets.
# Every target first installs and builds what changed since the last call.

CONFIG ?= pocket
ARGS ?=
FOLDER ?= test/fixtures/golden

SHELL := /bin/bash
.DEFAULT_GOAL := help
# a run folder takes one stage at a time, even under make -j
.NOTPARALLEL:

STAGES := demos sft collect candidates label vlm represent critic actor value vem online eval oracle offline report
.PHONY: help setup demo demo-vem $(STAGES) status config test test-browser test-appium lint bench fuzz soak golden study-online docs site clean

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
NODE_FINE := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); console.log(a > 20 || (a === 20 && b >= 19) ? "yes" : process.version)' 2>/dev/null)
ifeq ($(NODE_FINE),)
$(error critiq needs Node 20.19 or newer, and no Node was found: install it from https://nodejs.org)
else ifneq ($(NODE_FINE),yes)
$(error critiq needs Node 20.19 or newer, found $(NODE_FINE): install a newer one from https://nodejs.org)
endif
endif

CRITIQ := node dist/src/cli/main.js
PAGE := $(shell find src/viewer/page -type f 2>/dev/null)
SOURCES := $(filter-out $(PAGE),$(shell find src pipelines packaging test bench docs/.vitepress -name '*.ts' 2>/dev/null))
TESTS = $(patsubst %.ts,dist/%.js,$(shell find test -name '*.test.ts' | sort))

setup: dist/.stamp dist/.page-stamp

# Not npm ci, which installs everything again. This takes the locked versions too, and --no-save leaves the lock file alone.
node_modules/.stamp: package.json package-lock.json .npmrc
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

dist/.stamp: node_modules/.stamp tsconfig.json $(SOURCES)
	node_modules/.bin/tsc -p tsconfig.json
	@touch $@

# the page of critiq view; it shares types and a few drawings with the rest
dist/.page-stamp: node_modules/.stamp $(PAGE) $(wildcard src/viewer/*.ts src/report/*.ts) src/agents/grammar.ts src/agents/action-words.ts src/counted.ts
	npm run --silent build:page
	@touch $@

# VEM beside the other methods, on the same trajectories
demo-vem: setup
	$(CRITIQ) demo --config pocket-vem $(ARGS)

# CoSo by default
online: CONFIG = pocket-coso

demo $(STAGES) status config: setup
	$(CRITIQ) $@ --config $(CONFIG) $(ARGS)

test: setup
	node --test --test-reporter=spec $(TESTS)

# tests of the browser backend and the viewer's page; installs Chromium if there is none, and skips no test
test-browser: setup
	@node dist/test/rigs/browser/install-chromium.js
	CRITIQ_NO_SKIP=1 node --test --test-reporter=spec $(filter dist/test/devices/browser/% dist/test/viewer/page%,$(TESTS))

# the phone behind a real Appium, UiAutomator2 driver, adb and Selenium Grid, installed into .rig and from Debian packages
test-appium: setup
	@node dist/test/rigs/appium/install.js
	CRITIQ_NO_SKIP=1 node --test --test-concurrency=2 --test-reporter=spec $(filter dist/test/devices/appium/%,$(TESTS))

lint: setup
	npm run --silent lint

bench: setup
	npm run --silent bench -- $(ARGS)

# damaged inputs of every kind through the readers; ARGS="--seed 7 --inputs 5000 --only png,arrow", ARGS=--help
fuzz: setup
	node dist/test/fuzz/main.js $(ARGS)

# kills at random moments of all stages, beside undisturbed runs; ARGS="--kills 500 --only growing"
soak: setup
	node dist/test/soak/main.js $(ARGS)

# compares entropy bonuses over several seeds, into docs/; resumes where it was stopped
study-online: setup
	node dist/bench/study/online.js $(ARGS)

golden: setup
	npm run --silent golden -- $(FOLDER)

docs: setup
	npm run --silent docs:settings

# the docs site with an API reference, into site/; set SITE_BASE=/critiq/ if it is not at the root of its server
site: setup
	npm run --silent site

# keeps data/ and checkpoints/: they are results
clean:
	rm -rf dist site docs/api node_modules .rig

help:
	@echo 'make demo          the whole pipeline on the embedded phone from scratch, up to the report'
	@echo 'make demo-vem      the same with VEM: labels, value model, policy'
	@echo 'make STAGE         one stage; missing inputs are built first'
	@echo '                   stages: $(STAGES)'
	@echo 'make status        what each stage has built and what is outdated'
	@echo 'make config        the resolved settings as YAML'
	@echo 'make test          all tests; those that need a program that is not installed are skipped'
	@echo 'make test-browser  tests that need Chromium; installs it if there is none'
	@echo 'make test-appium   tests that need Appium, adb and a Selenium Grid; installs them if they are missing'
	@echo 'make lint          types, style and layers'
	@echo 'make bench         benchmarks'
	@echo 'make fuzz          damaged inputs of every kind through the readers (ARGS=--help)'
	@echo 'make soak          kills at random moments of all stages, compared with undisturbed runs'
	@echo 'make study-online  compares entropy bonuses over several seeds, into docs/'
	@echo 'make golden        compares the models with golden cases (FOLDER=test/fixtures/golden)'
	@echo 'make docs          docs/settings.md from the schemas'
	@echo 'make site          the docs site with the API reference, into site/'
	@echo 'make clean         removes builds and installed packages; keeps data/ and checkpoints/'
	@echo ''
	@echo 'Stages, status, config and demo take a settings file and settings:'
	@echo '  make critic CONFIG=pocket ARGS="seed=1 critic.lr=1e-4"'
