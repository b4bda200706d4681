# The verbs of this project, and the only ones that CI uses. Variants by a variable: make test LANE=long.

VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
LANE ?= short
EXAMPLES ?= 10000
SCENARIO ?= $(wildcard tests/scenarios/*.md)
# The tests of the pure packages. They alone have to reach every branch of those, so they run apart, measured by coverage.
PURE := $(addprefix tests/unit/,access ledger model scheduler) $(addprefix tests/properties/,ledger scheduler)
# Coverage sees kernels only uncompiled: their tests run so for it, and with all others compiled.
KERNELS := tests/unit/kernels tests/properties/kernels
STAMP := $(VENV)/.stamp-$(shell cat pyproject.toml dure/__init__.py 2>/dev/null | sha256sum | cut -c1-16)
# What these processes compile themselves is the same in both lanes.
ONCE := tests/unit/kernels/test_jit.py
# Who has nothing left to do takes over from others: else one process idles for minutes while the other has all that is slow.
ifeq ($(LANE),long)
PYTEST_ARGS ?= -n 2 --dist worksteal
else
PYTEST_ARGS ?= -n 2 --dist worksteal -m "not long"
endif

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PIP_NO_INPUT := 1

.PHONY: help setup postgres fmt lint test test-long simulate bench docs demo migrate release

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP) ## a virtual environment with everything that development needs

$(STAMP):
	@sh .ci/setup.sh "$(PYTHON)" "$(VENV)"
	@rm -f $(VENV)/.stamp-*
	@touch $@

postgres: setup
	@sh .ci/postgres.sh "$(VENV)"

fmt: setup ## format the code
	$(BIN)/ruff format dure tests bench docs
	$(BIN)/ruff check --fix dure tests bench docs

lint: setup ## style, types, and the order of imports
	$(BIN)/ruff check dure tests bench docs
	$(BIN)/ruff format --check dure tests bench docs
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint postgres ## lint and all tests; LANE=long adds those that take minutes
	@$(BIN)/coverage erase
	NUMBA_DISABLE_JIT=1 $(BIN)/coverage run -m pytest $(PYTEST_ARGS) $(PURE) $(KERNELS)
	@$(BIN)/coverage combine -q && $(BIN)/coverage report
	@$(BIN)/python -c "from dure.simulator.trial.warm import warm; warm()" & \
		$(BIN)/python -c "from dure.scheduler.warm import warm; warm()" && wait $$! # else each process of the tests would compile it
	DURE_REQUIRE_POSTGRES=1 $(BIN)/python -m pytest $(PYTEST_ARGS) $(PURE:%=--ignore=%) $(ONCE:%=--ignore=%)

# One example of some properties takes a tenth of a second and more: those name a smaller number of their own (`examples(most=)`).
test-long: setup ## every property with 10,000 examples drawn by chance, which takes hours, and how long each took; EXAMPLES=2000
	DURE_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n 2 --durations=0 --durations-min=1 tests/properties tests/simulation/test_trial.py

simulate: setup ## tell every scenario again, or SCENARIO=tests/scenarios/drain.md
	@for story in $(SCENARIO); do $(BIN)/python -m dure.cli simulate $$story || exit 1; done

bench: setup ## measure; WHAT=latency, throughput, storm, fgd, philly, cycle, policies, trials, kueue, plane or newcomer names what
	$(BIN)/python bench/run.py $(WHAT)

docs: setup ## write the generated reference pages again
	$(BIN)/python docs/generate.py
	$(BIN)/python -m dure.cli settings --page --lang en > docs/reference/settings.md
	$(BIN)/python -m dure.cli openapi --out docs/reference/openapi.json

demo: setup ## a farm, the main job, and what it cost
	@$(BIN)/python -m dure.cli demo

migrate: setup ## bring a farm's database to this version: make migrate DATA=/folder
	$(BIN)/python -m dure.cli migrate $(if $(DATA),--data $(DATA))

release: test ## build the packages that would be published, and look into them
	$(BIN)/python -m pip wheel -q --no-deps -w dist .
	@ls -l dist
