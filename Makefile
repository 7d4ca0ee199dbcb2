# `make demo` and `make test` make the environment on first use.
TASK ?= walk forward two steps, then wave with your right hand
POLICY ?=
SETUP := scripts/setup.sh scripts/requirements.txt $(wildcard src/*/setup.py src/exoactor_interfaces/*/* src/exoactor_interfaces/CMakeLists.txt)

.PHONY: demo test test-slow lint env colcon clean

demo: .venv/ready  ## the whole system as separate processes, for one TASK
	@.venv/bin/python -m exoactor.up --demo "$(TASK)" $(if $(POLICY),"policy:=$(abspath $(POLICY))")

test: .venv/ready lint  ## every test but the slow ones
	.venv/bin/python -m pytest -m "not slow"

test-slow: .venv/ready  ## the slow tests
	.venv/bin/python -m pytest -m slow

lint: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check

env: .venv/ready  ## the environment in .venv

.venv/ready: $(SETUP)
	@scripts/setup.sh
	@touch $@

colcon: .venv/ready  ## build all packages as a ROS 2 workspace, into build/ install/ log/
	@scripts/colcon.sh

clean:
	rm -rf build install log .venv
