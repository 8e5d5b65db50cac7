# Thin wrappers: each target is a plain command that the README shows too. People and CI use the same ones.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench bundle campaign-nullmarkets campaign-advisor campaign-nights campaign-faults campaign-awaits campaign-kill campaign-disk campaign-lockstep campaign-realtime docs clean

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: .venv/.dev ## everything to develop with: the package, torch for training, the checkers

demo: .venv/.core ## replay the embedded sample through the whole line; needs no torch
	$(BIN)/trader backtest --bars sample

test: .venv/.dev .venv-ib-async/.ready lint ## format, lint, types, layers, tests
	IB_ASYNC_PYTHON="$$(test ! -e .venv-ib-async/.ready || echo $(CURDIR)/.venv-ib-async/bin/python)" $(BIN)/python -m pytest $(PYTEST)

lint: .venv/.dev ## all checks but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.core ## the speed and size figures of this machine, as JSON
	$(BIN)/trader bench engine --json

bundle: .venv/.dev ## train a model on the synthetic market and export it
	$(BIN)/trader train --bars synthetic --from 2016-01-04 --to 2017-12-29 --validate-from 2018-01-02 --validate-to 2018-06-29 --seed 1 --name synthetic
	$(BIN)/trader export runs/synthetic models/synthetic

campaign-nullmarkets: .venv/.core ## how often the verdict says yes on 200 random walks, at most ten; hours, goes on where it stopped
	$(BIN)/python scripts/null_markets.py

campaign-advisor: .venv/.dev ## the advisor's full samples: 10,000 faults of each kind, calibration on 50 seeds; hours
	$(BIN)/python scripts/campaign_advisor_faults.py
	$(BIN)/python scripts/campaign_query_rate.py --bars sample
	$(BIN)/python scripts/campaign_calibration.py

campaign-nights: .venv/.dev ## 200 nights of the link with the gateway's resets, in a time that jumps; minutes
	$(BIN)/python scripts/campaign_nights.py

campaign-faults: .venv/.dev ## 2,000 sessions of the daemon with the gateway's faults, in a time that jumps; half an hour, goes on where it stopped
	$(BIN)/python scripts/campaign_faults.py

campaign-awaits: .venv/.dev ## the daemon killed before every await, write and message of a session, and of a start; hours, goes on where it stopped
	$(BIN)/python scripts/campaign_awaits.py

campaign-kill: .venv/.dev ## 300 kills of the daemon with each broker, restarted each time; half an hour, goes on where it stopped
	$(BIN)/python scripts/campaign_kill.py

campaign-disk: .venv/.dev ## the daemon on a disk that refuses at each write of a session, then on a mended one; half an hour, goes on where it stopped
	$(BIN)/python scripts/campaign_disk.py

campaign-lockstep: .venv/.dev ## whole files over the real client in lockstep, against backtests; half an hour
	$(BIN)/python scripts/campaign_lockstep.py

campaign-realtime: .venv/.dev ## 20 bars in real time, at speed 1; 20 minutes
	$(BIN)/python scripts/campaign_real_time.py

docs: .venv/.core ## write the generated pages of docs/ again
	$(BIN)/python scripts/make_docs.py

clean: ## remove what the targets made, the environment included; logs stay
	rm -rf .venv .venv-ib-async build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "no python3 found: install Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# The stamps make the second run instant; pip runs again when the dependencies may have changed.
.venv/.core: pyproject.toml | .venv/bin/python
	$(PIP) install -e .
	@touch $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(PIP) install -e '.[dev]'
	@touch $@ .venv/.core

# ib_async cannot live beside ib_insync: both bring a package `eventkit`, and here ib_async's comes first. All else is
# the first environment's. Where this one cannot be made, the tests that need it are skipped.
PURELIB := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
.venv-ib-async/.ready: pyproject.toml | .venv/.dev
	$(BIN)/python -m venv .venv-ib-async
	@echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" >"$$(.venv-ib-async/bin/python $(PURELIB))/beside.pth"
	@if .venv-ib-async/bin/python -m pip --disable-pip-version-check --quiet --retries 1 install 'ib_async>=2.1'; then \
	touch $@; else echo "ib_async cannot be installed: the tests that need it are skipped" >&2; fi
