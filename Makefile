# make demo: a registry from examples/, published, served, installed from, attacked. make test: lint, types, tests.
# Each does all of its own set-up. See README.md.
# PINS=newest or PINS=lowest takes other versions than those of pins/, in an environment of its own: scripts/setup.sh.
.PHONY: help demo test lint bench schema messages lighthouse pins dist onefile frozen deb formula images share man clean

PINS ?= pinned
VENV := .venv$(if $(filter-out pinned,$(PINS)),-$(PINS))
export PINS UPGRADE

# of the tests: one more than there are processors, since many wait for a server or a program
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1 )))

help:
	@echo "make demo    the whole workflow, from a folder of plugins to a verified install, on this machine"
	@echo "make test    ruff, mypy --strict and pytest"
	@echo "make bench   the budgets: ratios against peers, measured in one run (minutes)"
	@echo "make lighthouse KREW=krew-history.jsonl.xz    the browse site's scores (minutes)"
	@echo "make messages  bring the messages in other languages up to date: of the pages, of both command lines"
	@echo "make schema  regenerate docs/schema/ from the structs"
	@echo "make pins    write pins/: everything that is installed, by version and digest; UPGRADE=all or UPGRADE=NAME takes newer ones"
	@echo "             make test PINS=newest runs with the newest of everything, PINS=lowest with the oldest supported versions"
	@echo "make dist    build both distributions twice, compare, and try the wheels in clean environments; DIST=build: no trial"
	@echo "make onefile one file of the client and all it needs, for this Python and system, in dist/"
	@echo "make man     man pages of both programs from their help texts, in dist/man; make share: completions, in the tree"
	@echo "make frozen  the client as a program for hosts without Python, for this system, in dist/"
	@echo "make deb     the client as a Debian package, built and tried in clean roots of Debian 13 (root, minutes)"
	@echo "make images  the images of packaging/docker, built by buildah and tried; BASE=IMAGE@DIGEST, or one that is made here (root)"
	@echo "make formula HOMEPAGE=ADDRESS SDIST_URL=ADDRESS    the Homebrew formula of a release, in dist/"
	@echo "make clean   remove what the other targets created"

demo:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/demo.py $(DEMO)

# what is oldest is tried by its behaviour; types and rules are those of the pinned tools. mypy has one processor, and
# takes half a minute where it has no cache: the tests run beside it
test: $(if $(filter lowest,$(PINS)),setup,style)
	@$(MAKE) --no-print-directory -j2 $(if $(filter lowest,$(PINS)),,types) pytest

.PHONY: setup style types pytest
setup:
	@scripts/setup.sh test

style: setup
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: setup
	$(VENV)/bin/mypy

pytest: export MAKEFLAGS =
pytest: setup
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

lint: style types

bench:
	@scripts/setup.sh test
	@scripts/setup.sh bench
	@$(VENV)/bin/python -m benchmarks $(BENCH)

lighthouse:
	@scripts/setup.sh test
	@$(VENV)/bin/python -m benchmarks.lighthouse $(KREW) $(BENCH)

messages:
	@scripts/setup.sh demo
	$(VENV)/bin/python scripts/messages.py

schema:
	@scripts/setup.sh demo
	$(VENV)/bin/python scripts/write_schemas.py

pins:
	@scripts/setup.sh pins
	@scripts/pins.sh

dist:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/dist.py build
	@[ "$(DIST)" = build ] || $(VENV)/bin/python scripts/dist.py try

onefile:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/dist.py build
	@$(VENV)/bin/python scripts/onefile.py

share:
	@scripts/setup.sh demo
	$(VENV)/bin/python scripts/write_share.py

man:
	@scripts/setup.sh demo
	$(VENV)/bin/python scripts/write_share.py --man dist/man

frozen:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/dist.py build
	@$(VENV)/bin/python scripts/frozen.py

deb:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/dist.py build
	@scripts/deb.sh

images:
	@scripts/setup.sh demo
	@$(VENV)/bin/python scripts/dist.py build
	@scripts/images.sh

formula:
	@scripts/setup.sh test
	@[ -e dist/SHA256SUMS ] || $(VENV)/bin/python scripts/dist.py build
	@$(VENV)/bin/python scripts/formula.py --homepage "$(HOMEPAGE)" --sdist dist/sealdex-*.tar.gz --sdist-url "$(SDIST_URL)"

clean:
	rm -rf .venv .venv-newest .venv-lowest demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/work
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
