# `make demo` and `make test` install what they need on first use. PYTHON=python3.12 chooses its interpreter.
TASK ?= walk forward two steps, then wave with your right hand
POLICY ?=
MADE_FROM := $(wildcard scripts/*.sh scripts/*.cmake scripts/requirements.txt scripts/requirements-ros.txt \
	scripts/requirements-no-deps.txt scripts/compat/*/* scripts/compat/*/*/* src/*/setup.py src/*/setup.cfg \
	src/exoactor_interfaces/* src/exoactor_interfaces/*/*)

ifdef AMENT_PREFIX_PATH  # a ROS 2 that was sourced here would mix with the one in .venv
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH PYTHONPATH LD_LIBRARY_PATH ROS_DISTRO
endif

.PHONY: help demo test test-faults test-slow lint docs env extras colcon version clean FORCE

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: .venv/ready  ## the whole system as separate processes, for one TASK="..." (POLICY=file.onnx or pd for another tracker)
	@.venv/bin/exoactor up --demo "$(TASK)" $(if $(POLICY),"policy:=$(POLICY)")

test: lint  ## lint, and every test but the slow ones
	.venv/bin/python -m pytest -n auto --dist loadfile -m "not slow and not ros and not realtime"
	.venv/bin/python -m pytest -m "not slow and (ros or realtime)"

test-faults: .venv/test  ## the faults of docs/safety.md, injected; they are part of make test, too
	.venv/bin/python -m pytest -m "faults and not slow"

test-slow: .venv/test  ## the slow tests
	.venv/bin/python -m pytest -m slow

lint: .venv/test  ## format, lint, types, and which package imports which
	.venv/bin/ruff check --quiet
	.venv/bin/ruff format --check --quiet
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/docs  ## docs/ as a site, into build/docs; broken links fail
	@.venv/bin/python scripts/generate_interfaces.py
	@.venv/bin/python scripts/generate_options.py
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

env: .venv/ready  ## the environment in .venv, for the default pipeline

extras: .venv/extras  ## adds PyTorch, transformers and diffusers: video models on this machine, ViTPose, training

.venv/ready: $(MADE_FROM) $(if $(PYTHON),FORCE)
	@scripts/setup.sh
	@touch $@

.venv/extras: scripts/requirements-extras.txt | .venv/ready
	@scripts/setup.sh extras
	@touch $@

.venv/test: scripts/requirements-test.txt | .venv/extras
	@scripts/setup.sh test
	@touch $@

.venv/docs: scripts/requirements-docs.txt | .venv/ready
	@scripts/setup.sh docs
	@touch $@

colcon: .venv/ready  ## all packages as a ROS 2 workspace, into build/ install/ log/
	@. .venv/bin/activate && colcon build --base-paths src

version:  ## set the version of all packages: make version TO=0.2.0
	sed -i -E 's|<version>.*</version>|<version>$(or $(TO),$(error say TO=...))</version>|' src/*/package.xml
	sed -i -E 's|^version: .*|version: $(TO)|' CITATION.cff

clean:  ## remove the environment and everything built
	rm -rf .venv build install log
