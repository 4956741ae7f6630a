# Two commands to know: `make run` and `make test`. Nothing here needs root.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# The first interpreter that is new enough and can make a virtual environment.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo $$python; break; }; done)

define NO_PYTHON
No Python 3.11 or newer that can make a virtual environment was found.
  Debian, Ubuntu: apt install python3 python3-venv
  Fedora:         dnf install python3
  macOS:          brew install python
Or name one: make PYTHON=/path/to/python3.12 ...
endef
export NO_PYTHON

LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(INSTALLED) ## run the whole service on this machine: simulator, embedded Redis, connector (ARGS="--help")
	@exec $(BIN)/chimera-s1 demo $(ARGS)

.PHONY: test
test: $(INSTALLED) ## run all tests, with types, lint and import contracts (ARGS="-k quote")
	@# With compiled modules kept, each of the hundreds of processes starts half a second earlier.
	@exec env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest --numprocesses 4 --dist worksteal $(ARGS)

define NO_ARANGO
Name a server whose user may make databases; each test makes one of its own and drops it:
  ARANGO_URL=http://10.0.0.7:8529 ARANGO_USER=root ARANGO_PASSWORD=... make test-arango
Coordinators of a cluster: ARANGO_URL=http://10.0.0.7:8529,http://10.0.0.8:8529
endef
export NO_ARANGO

.PHONY: test-arango
test-arango: $(INSTALLED) ## run the ledger store tests against a real ArangoDB (ARANGO_URL=http://...)
	@test -n "$$ARANGO_URL" || { echo "$$NO_ARANGO" >&2; exit 1; }
	@exec $(BIN)/pytest -k arango_server tests/contract $(ARGS)

.PHONY: bench
bench: $(INSTALLED) ## print CPU cost, latency and memory of a message, and the cost of a transfer (ARGS="--quick")
	@exec $(BIN)/python -m tests.load.bench $(ARGS)

.PHONY: bench-door
bench-door: $(INSTALLED) ## attack the HTTP server and print how late quotes are meanwhile (ARGS="--quick")
	@exec $(BIN)/python -m tests.load.bench --only door $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## fuzz the parsers, repeat Redis faults, then the four targets below (SECONDS=60 ARGS="--only stop")
	@$(BIN)/python -m tests.load.fuzz_frames --seconds $(or $(SECONDS),60)
	@$(BIN)/python -m tests.load.soak $(ARGS)
	@$(MAKE) --no-print-directory soak-kill soak-model soak-funding soak-orders

.PHONY: bench-lost
bench-lost: $(INSTALLED) ## lose replies at the exchange and print how long it takes to settle them (ARGS="--lost 200")
	@exec $(BIN)/python -m tests.load.lost_replies $(ARGS)

.PHONY: bench-kill-switch
bench-kill-switch: $(INSTALLED) ## print how long the kill switch takes to stop quotes and transfers, and to let go (ROUNDS=50)
	@exec $(BIN)/python -m tests.load.kill_switch_times --rounds $(or $(ROUNDS),50)

.PHONY: bench-instruments
bench-instruments: $(INSTALLED) ## print what a sync of 3,900 instruments costs, and how late quotes are meanwhile (ARGS="--seconds 30")
	@exec $(BIN)/python -m tests.load.instrument_syncs $(ARGS)

.PHONY: bench-funding
bench-funding: $(INSTALLED) ## print what funding of 930 contracts costs: requests, and a month to store (ARGS="--days 3")
	@$(BIN)/python -m tests.load.funding_requests
	@exec $(BIN)/python -m tests.load.funding_history $(ARGS)

.PHONY: bench-orders
bench-orders: $(INSTALLED) ## print how long an order takes to the wire, beside ccxt and Binance's SDKs (ARGS="--quick")
	@exec $(BIN)/python -m tests.load.order_latency $(ARGS)

.PHONY: busy-hour
busy-hour: $(INSTALLED) ## an hour of 2,000 orders and every fault on a fast clock, compared with the simulator's books (ARGS="--rate 4")
	@exec $(BIN)/python -m tests.load.busy_hour $(ARGS)

.PHONY: soak-kill
soak-kill: $(INSTALLED) ## kill -9 a service that moves money, many times (ROUNDS=100 SEED=1)
	@exec $(BIN)/python -m tests.load.treasury_kill_loop --rounds $(or $(ROUNDS),100) --seed $(or $(SEED),1)

.PHONY: soak-model
soak-model: $(INSTALLED) ## run the treasury through seeded lost replies, pauses and crashes (SEEDS=200000)
	@exec $(BIN)/python -m tests.load.treasury_model --seeds $(or $(SEEDS),200000) --processes 2

.PHONY: soak-funding
soak-funding: $(INSTALLED) ## read seeded funding histories through outages and kills (SEEDS=2000)
	@exec $(BIN)/python -m tests.load.funding_history_model --seeds $(or $(SEEDS),2000)

.PHONY: soak-orders
soak-orders: $(INSTALLED) ## run orders through seeded lost replies, events and crashes (SEEDS=2000 SEED=0)
	@exec $(BIN)/python -m tests.load.orders_model --seeds $(or $(SEEDS),2000) --first $(or $(SEED),0)

.PHONY: quick
quick: $(INSTALLED) ## run unit tests and static checks: under two minutes (ARGS="-k quote")
	@exec $(BIN)/pytest --numprocesses 3 --dist worksteal tests/unit $(ARGS)

.PHONY: mutants
mutants: $(INSTALLED) ## check that each deliberate mistake of tests/mutants fails a test (ARGS="--only ID")
	@exec $(BIN)/python -m tests.mutants $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## run the static checks: ruff, mypy, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@find src tests -name '*.py' | xargs wc -l | awk '$$2 != "total" && $$1 > 500 { \
		print "hint: " $$2 " has " $$1 " lines; can it be read in one sitting?" }'

.PHONY: fmt
fmt: $(INSTALLED) ## format, and apply the safe fixes of ruff
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: lock
lock: $(INSTALLED) ## rewrite requirements*.txt from pyproject.toml (UPGRADE=--upgrade for new versions)
	@test -x $(BIN)/uv || { echo "make lock needs uv, and uv could not be installed here" >&2; exit 1; }
	@$(LOCK) --all-extras --group dev pyproject.toml -o requirements-dev.txt
	@$(LOCK) --constraints requirements-dev.txt pyproject.toml -o requirements.txt
	@$(LOCK) --constraints requirements-dev.txt --group build -o requirements-build.txt

.PHONY: clean
clean: ## remove the environment, the caches and the state of the demo
	rm -rf $(VENV) .chimera .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

$(INSTALLED): pyproject.toml requirements-build.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "$$NO_PYTHON" >&2; exit 1; }
	@echo "installing into $(VENV): about a minute the first time, network needed" >&2
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@if $(BIN)/python -m pip install --quiet --require-hashes -r requirements-build.txt; then \
		install="$(BIN)/uv pip install --quiet --python $(BIN)/python"; \
	else \
		echo "uv cannot be installed here; pip takes its place, more slowly" >&2; \
		install="$(BIN)/python -m pip install --quiet"; \
	fi; \
	$$install --require-hashes -r requirements-dev.txt && \
	$$install --no-deps --no-build-isolation -e .
	@touch $@
