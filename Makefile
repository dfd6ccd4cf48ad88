# make demo: everything from nothing on the embedded phone. make help: the rest.
# Every target sets the machine up first (npm install, build), and only when something changed since.

CONFIG ?= configs/pocket.yaml
ARGS ?=
FOLDER ?= test/fixtures/golden

SHELL := /bin/bash
.DEFAULT_GOAL := help
# one stage at a time in a run folder, also under make -j
.NOTPARALLEL:

STAGES := demos sft collect candidates vlm represent critic actor online eval report
.PHONY: help setup demo $(STAGES) status config test test-browser test-appium lint bench golden study-online docs clean

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
NODE_FINE := $(shell node -e 'const [a, b] = process.versions.node.split(".").map(Number); console.log(a > 20 || (a === 20 && b >= 19) ? "yes" : process.version)' 2>/dev/null)
ifeq ($(NODE_FINE),)
$(error critiq needs Node 20.19 or newer and found none: install it from https://nodejs.org)
else ifneq ($(NODE_FINE),yes)
$(error critiq needs Node 20.19 or newer and found $(NODE_FINE): install it from https://nodejs.org)
endif
endif

CRITIQ := node dist/src/cli/main.js
PAGE := $(shell find src/viewer/page -type f 2>/dev/null)
SOURCES := $(filter-out $(PAGE),$(shell find src pipelines test bench -name '*.ts' 2>/dev/null))
TESTS = $(patsubst %.ts,dist/%.js,$(shell find test -name '*.test.ts' | sort))

setup: dist/.stamp dist/.page-stamp

# Not npm ci: it refuses a lock without @napi-rs/canvas 1.1.1's packages for other platforms, which the registry this lock
# was made with does not have. npm install takes the versions of the lock too, and --no-save leaves the lock as it is.
node_modules/.stamp: package.json package-lock.json .npmrc
	npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

dist/.stamp: node_modules/.stamp tsconfig.json $(SOURCES)
	node_modules/.bin/tsc -p tsconfig.json
	@touch $@

# the page of critiq view, which shares types and a few drawings with the rest
dist/.page-stamp: node_modules/.stamp $(PAGE) $(wildcard src/viewer/*.ts src/report/*.ts) src/agents/grammar.ts
	npm run --silent build:page
	@touch $@

# CoSo, unless another configuration is named
online: CONFIG = configs/pocket-coso.yaml

$(STAGES) status config: setup
	$(CRITIQ) $@ --config $(CONFIG) $(ARGS)

demo: setup
	$(CRITIQ) demos --config $(CONFIG) $(ARGS)
	$(CRITIQ) sft --config $(CONFIG) $(ARGS)
	$(CRITIQ) collect --config $(CONFIG) $(ARGS)
	$(CRITIQ) candidates --config $(CONFIG) $(ARGS)
	$(CRITIQ) vlm --config $(CONFIG) $(ARGS)
	$(CRITIQ) represent --config $(CONFIG) $(ARGS)
	$(CRITIQ) critic --config $(CONFIG) $(ARGS)
	$(CRITIQ) actor --config $(CONFIG) $(ARGS) actor.method=filteredbc
	$(CRITIQ) actor --config $(CONFIG) $(ARGS) actor.method=digiq
	$(CRITIQ) report --config $(CONFIG) $(ARGS)

test: setup
	node --test --test-reporter=spec $(TESTS)

# tests of the browser backend and of the viewer's page; installs a Chromium where there is none, and leaves nothing out
test-browser: setup
	@node dist/test/rigs/browser/install-chromium.js
	CRITIQ_NO_SKIP=1 node --test --test-reporter=spec $(filter dist/test/devices/browser/% dist/test/viewer/page%,$(TESTS))

# the phone behind the real Appium, UiAutomator2 driver, adb and Selenium Grid, which are installed into .rig and from Debian
test-appium: setup
	@node dist/test/rigs/appium/install.js
	CRITIQ_NO_SKIP=1 node --test --test-concurrency=2 --test-reporter=spec $(filter dist/test/devices/appium/%,$(TESTS))

lint: setup
	npm run --silent lint

bench: setup
	npm run --silent bench -- $(ARGS)

# entropy bonuses compared over seeds, into docs/; goes on where it was stopped
study-online: setup
	node dist/bench/study/online.js $(ARGS)

golden: setup
	npm run --silent golden -- $(FOLDER)

docs: setup
	npm run --silent docs:settings

# data/ and checkpoints/ are results and stay
clean:
	rm -rf dist node_modules .rig

help:
	@echo 'make demo      everything from nothing on the embedded phone, then a report'
	@echo 'make STAGE     one stage, after whatever it lacks: $(STAGES)'
	@echo 'make status    what is done and what is outdated'
	@echo 'make test-browser  tests that need a Chromium, which is installed if there is none'
	@echo 'make test-appium   tests that need Appium, adb and a Selenium Grid, which are installed if they are not there'
	@echo 'make test | lint | bench | docs | clean'
	@echo 'make study-online  entropy bonuses compared over seeds, into docs/'
	@echo 'make golden FOLDER=test/fixtures/golden'
	@echo 'CONFIG=configs/pocket.yaml ARGS="seed=1 critic.lr=1e-4" go with each of them'
