# Every target sets up what it needs: a virtual environment made from requirements.lock, checked by hash.
# The first one that runs, is new enough and can make an environment: a name on the PATH may be a shim of pyenv or asdf.
USABLE := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,$(if $(shell $(p) -c '$(USABLE)' >/dev/null 2>&1 && echo yes),$(p))))
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PYTHONUNBUFFERED := 1

.PHONY: demo dev test torture check benchmark detection coverage docs pictures lock clean

# Options of `calslo demo` in DEMO_ARGS, such as: make demo DEMO_ARGS="--webhook http://127.0.0.1:9000/alerts"
demo: $(READY)
	$(BIN)/calslo demo $(DEMO_ARGS)

# The Dagster UI with daemon and running schedules, on the home that the demo left.
dev: .calslo/calslo.yaml
	cd .calslo && $(CURDIR)/$(BIN)/calslo dev

.calslo/calslo.yaml: | $(READY)
	$(BIN)/calslo demo

test: $(READY)
	@.ci/prometheus
	@.ci/chromium
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Five times as many kills as `make test` does; some ten minutes.
torture: $(READY)
	CALSLO_KILLS=1000 $(BIN)/python -m pytest -n 2 calslo_dagster_tests/torture/test_kills.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.ready-benchmark
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-json=.benchmarks/latest.json

# False alarms and delays of the sequential detectors, by simulation; some hours. Each can be run alone and with fewer runs.
detection: $(READY)
	$(BIN)/python -m benchmarks.detection alarms
	$(BIN)/python -m benchmarks.detection alarms --at-boundary
	$(BIN)/python -m benchmarks.detection delays
	$(BIN)/python -m benchmarks.detection unlisted
	$(BIN)/python -m benchmarks.detection scenarios

# How often intervals hold the truth, by simulation; some hours. For a first look: python -m benchmarks.coverage
coverage: $(READY)
	$(BIN)/python -m benchmarks.coverage --full

# The reference pages and what monitoring is given, written from the code; a test says when they are out of date.
docs: $(READY)
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_monitoring.py

# From the demo's home; the screenshots need Chromium.
pictures: .calslo/calslo.yaml
	$(BIN)/python docs/make_pictures.py

$(READY): requirements.lock pyproject.toml
	@$(or $(PYTHON),false) -c '$(USABLE)' || { echo "calslo_dagster needs Python 3.11 or newer with its venv module (Debian: python3-venv); run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The yardstick libraries are many and large, and only the benchmarks need them, so they stay out of the lock.
$(VENV)/.ready-benchmark: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[benchmark]'
	@touch $@

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra charts --extra pdf --extra postgres --extra test --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock

clean:
	rm -rf $(VENV) .calslo
