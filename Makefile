# make demo: a registry from examples/, published, served, installed from, attacked. make test: lint, types, tests.
# Each does all of its own set-up. See README.md.
.PHONY: help demo test lint bench schema vendor lighthouse clean

help:
	@echo "make demo    the whole way, from a folder of plugins to a verified install, on this machine"
	@echo "make test    ruff, mypy --strict and pytest"
	@echo "make bench   the budgets: ratios against peers, measured in one run (minutes)"
	@echo "make lighthouse KREW=krew-history.jsonl.xz    the browse site's scores (minutes)"
	@echo "make schema  write docs/schema/ anew from the structs"
	@echo "make vendor  bring the JavaScript of others that the site carries, with npm"
	@echo "make clean   remove what the others made"

demo:
	@scripts/setup.sh demo
	@.venv/bin/python scripts/demo.py $(DEMO)

test: lint
	.venv/bin/python -m pytest -n auto $(TESTS)

lint:
	@scripts/setup.sh test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

bench:
	@scripts/setup.sh test
	@scripts/setup.sh bench
	@.venv/bin/python -m benchmarks $(BENCH)

lighthouse:
	@scripts/setup.sh test
	@.venv/bin/python -m benchmarks.lighthouse $(KREW) $(BENCH)

schema:
	@scripts/setup.sh demo
	.venv/bin/python scripts/write_schemas.py

vendor:
	@scripts/vendor.sh

clean:
	rm -rf .venv demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/work
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
