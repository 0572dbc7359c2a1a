# What people type. `make demo` and `make test` bring a bare machine all the way.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# How `make lock` treats the versions that are pinned: UPGRADE='--upgrade-package ray', or --upgrade for all.
UPGRADE ?=
# Offscreen drawing: EGL and a driver behind it (Mesa's, unless NVIDIA's is there).
SYSTEM_PACKAGES := libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libxrender1

.PHONY: setup system system-test demo test check docs lock lock-check format bench bench-gpu fuzz chaos train cluster-up cluster-down job nightly schedule clean
.DEFAULT_GOAL := setup

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) system  ## Make the virtual environment .venv with everything in it

# A torch for CPUs brings no Triton, and on Linux tests run it: the one that torch's release asks for is installed.
$(READY): pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@[ "$$(uname)" != Linux ] || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$$(grep -o '^triton==[^ ]*' requirements.lock)"
	@touch $(READY)

system:  ## Install the system libraries that offscreen drawing needs, if permitted
	@[ "$$(uname)" = Linux ] || exit 0; \
	libraries=$$(ldconfig -p 2>/dev/null || /sbin/ldconfig -p); \
	has() { case "$$libraries" in *"$$1"*) ;; *) return 1 ;; esac; }; \
	if has libEGL.so.1 && has libGL.so.1 && has libXrender.so.1 && \
	   { has libEGL_nvidia || { has libEGL_mesa && ls /usr/lib/*/dri/*_dri.so >/dev/null 2>&1; }; }; \
	then exit 0; fi; \
	install="apt-get install -y --no-install-recommends $(SYSTEM_PACKAGES)"; \
	if ! command -v apt-get >/dev/null; then \
	  echo "Drawing needs EGL and Mesa; on Debian: $(SYSTEM_PACKAGES)"; exit 2; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo=sudo; \
	else echo "Drawing needs system libraries. Run: sudo $$install"; exit 2; fi; \
	echo "Installing for offscreen drawing: $(SYSTEM_PACKAGES)"; \
	$$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo $$install -qq >/dev/null

system-test:  ## Install the browser in which pages are tested, if permitted; else those tests are skipped
	@if command -v chromium >/dev/null; then exit 0; fi; \
	install="apt-get install -y --no-install-recommends chromium"; \
	skip() { echo "Pages are not tested in a browser: no chromium, and $$1"; exit 0; }; \
	command -v apt-get >/dev/null || skip "no apt-get to install it with"; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif sudo -n true 2>/dev/null; then sudo=sudo; \
	else skip "no right to: sudo $$install"; fi; \
	echo "Installing for the tests: chromium"; \
	{ $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo $$install -qq >/dev/null; } || \
	  skip "it could not be installed"

demo: setup  ## Colour a procedural person's head and draw it: out/demo
	$(BIN)/medcolor demo --output out/demo

test: setup system-test  ## Run the tests, without those marked slow
	$(BIN)/python -m pytest -q -n 3 --dist loadgroup -m "not slow"

test-all: setup system-test  ## Run all tests
	$(BIN)/python -m pytest -q -n 3 --dist loadgroup

check: $(READY) docs  ## Lint, types, layers, the site; whether all pins resolve, where a package registry answers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python jobs/lock.py --check

docs: $(READY)  ## Build the site of the documents, every link checked: out/site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # --quiet would let dead links pass

lock: $(READY)  ## Pin all packages anew: constraints.txt and, with hashes, requirements.lock; UPGRADE=
	$(BIN)/python jobs/lock.py $(UPGRADE)

lock-check: $(READY)  ## Resolve them for Linux and macOS, x86-64 and Arm, Python 3.11 to 3.13
	$(BIN)/python jobs/lock.py --check

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Cost of a slice by stage, of matching beside the machine's floor, of an index, of reading and writing a body, of storage, of running, of drawing
	$(BIN)/python jobs/bench.py
	$(BIN)/python jobs/bench_matching.py
	$(BIN)/python jobs/bench_filters.py
	$(BIN)/python jobs/bench_index.py
	$(BIN)/python jobs/bench_volume.py
	$(BIN)/python jobs/bench_storage.py
	$(BIN)/python jobs/bench_run.py
	$(BIN)/python jobs/bench_render.py
	$(if $(PEER),$(BIN)/python jobs/bench_peer.py --peer $(PEER))

FUZZ_SECONDS := 600

fuzz: setup  ## Fuzz the readers of binary files for ten minutes
	$(BIN)/python tests/fuzz/fuzz_readers.py $(FUZZ_SECONDS)

chaos: setup  ## Run fifty seeded schedules of losses on a Ray cluster (an hour)
	$(BIN)/python tests/chaos/schedules.py

bench-gpu:  ## Agreement of a GPU with the CPU, and what each stage costs there, in minutes; needs what the numeric core needs
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) jobs/check_gpu.py $(SECTIONS)

train: setup  ## Train the embedded network again (hours): out/weights
	$(BIN)/python jobs/train_features.py --output out/weights

cluster-up: $(READY)  ## Start a Ray on this machine, with a token; state in out/cluster
	cluster/local.sh up

cluster-down:  ## End it
	cluster/local.sh down

job: $(READY)  ## Colour one volume on it (or on RAY_API_SERVER_ADDRESS): TARGET= OUTPUT= REFERENCES= CONFIG=
	cluster/local.sh job

nightly: $(READY)  ## Colour what is new in MANIFEST= into OUTPUT=, on the same; starts and ends a Ray if none runs
	cluster/local.sh nightly

schedule:  ## Print the crontab line that runs nightly at AT='0 2 * * *'; INSTALL=1 installs it
	@cluster/local.sh schedule

clean:  ## Remove what was made here
	rm -rf .venv out dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
