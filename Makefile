# Primer's commands. Each does its own set-up on a fresh machine (scripts/setup.sh) and calls what each
# language expects; what a step does stands in its script.
#
# Variables: SEEDS, RUNS, SECS, SEED, PREFIX, and CARGO_TARGET_DIR. Without the last one cargo builds into
# target/, or, where CI=true starts from a fresh clone each time, into the user's cache.

ifndef CARGO_TARGET_DIR
ifeq ($(CI),true)
CARGO_TARGET_DIR := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/primer/target
else
CARGO_TARGET_DIR := target
endif
endif
export CARGO_TARGET_DIR := $(abspath $(CARGO_TARGET_DIR))

SEEDS ?= 3000
RUNS ?= 50
SECS ?= 60
SEED ?= 1
PREFIX ?= /usr/local
ARGS ?= --faces

.PHONY: help demo test sim kill bench fuzz chaos soak header install fmt clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: ## one cluster of four languages counts words while a worker is killed
	@scripts/setup.sh demo
	@scripts/run.sh demo

test: ## every check and every test of every language, with the time each took
	@scripts/setup.sh test
	@scripts/test.sh

sim: ## the simulator: make sim SEEDS=100000
	@scripts/run.sh sim $(SEEDS)

kill: ## five members, one killed under load, nothing lost: make kill RUNS=50
	@scripts/run.sh kill $(RUNS)

bench: ## every row of the bench beside the machine's limits
	@scripts/setup.sh demo
	@scripts/run.sh bench $(ARGS)

fuzz: ## each fuzz target for SECS
	@scripts/run.sh fuzz $(SECS)

chaos: ## partitions, pauses and kills between real processes, as root: make chaos SEED=7
	@scripts/setup.sh chaos
	@scripts/run.sh chaos --seed $(SEED)

soak: ## the simulator and the kill test for a long while
	@scripts/run.sh sim 100000
	@scripts/run.sh kill 500

header: ## include/primer.h anew from bindings/c
	@scripts/run.sh header

install: ## the C library, its header and its pkg-config file under PREFIX
	@scripts/run.sh install "$(PREFIX)"

fmt: ## format what cargo knows
	cargo fmt --all

clean: ## remove what was built here
	rm -rf target build dist
	find bindings examples -name node_modules -prune -exec rm -rf {} + -o -name _build -prune -exec rm -rf {} +
