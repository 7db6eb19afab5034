# Every target first makes .venv if it is missing, out of date or incomplete.
#   PYTHON=python3.12   the interpreter for .venv (3.11 to 3.13; by default found automatically)
#   EXTRAS=gpu          further extras of pyproject.toml to install; remembered
#   ARGS="..."          arguments for the program behind the target
# All paths are relative, so that the folder's path may contain spaces.

.DEFAULT_GOAL := help
.PHONY: help setup bench bench-speed bench-contention bench-growth bench-forecast bench-units bench-jobs bench-harness bench-report bench-robust bench-blocks list report readme fetch test test-all faults browser-tests screenshots check wheel lock clean

help: ## List the targets
	@echo 'Targets (arguments pass through: make bench ARGS="--only cnn,svm"):'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv and install the package with the versions of .requirements.lock (EXTRAS=gpu adds an extra)
	@.ci/setup

# On any failure make exits with 2 and prints the program's exit status:
# 1 some trial not ok, 2 usage, 3 no data.
bench: setup ## Run the standard suite and write its report to results/
	@.venv/bin/mnistbench run $(ARGS)

bench-speed: setup ## Time the suite against a plain script with the libraries' defaults, back to back
	@.venv/bin/python benchmarks/studies/speed.py $(ARGS)

bench-contention: setup ## Time the suite alone, then beside a busy program of another session
	@.venv/bin/python benchmarks/studies/contention.py $(ARGS)

bench-growth: setup ## Compare time and memory on many classes, few pixels and no black with MNIST's; ARGS="--images 5000" is quick
	@.venv/bin/python benchmarks/studies/growth.py $(ARGS)

bench-forecast: setup ## Measure how far forecasts are from what trials take; ARGS="--of FOLDER" takes finished runs
	@.venv/bin/python benchmarks/studies/forecast.py $(ARGS)

bench-units: setup ## Run the suite ten times and tell how far the runs disagree, in seconds and in units
	@.venv/bin/python benchmarks/studies/units.py $(ARGS)

bench-jobs: setup ## Time the suite with one thread a trial: one trial at a time, then two side by side
	@.venv/bin/python tests/budgets/jobs.py $(ARGS)

bench-harness: setup ## Measure planning, running, resuming and reporting 10 to 10,000 trials; ARGS="10 100" is quick
	@.venv/bin/python tests/budgets/harness.py $(ARGS)

bench-report: setup ## Measure the time and memory that the report of 10,000 synthetic records takes
	@.venv/bin/python tests/budgets/report.py $(ARGS)

bench-robust: setup ## Measure the time and memory that the corrupted copies of 10,000 images take
	@.venv/bin/python tests/budgets/corruptions.py $(ARGS)

bench-blocks: setup ## Measure how the memory of training by blocks grows with the images
	@.venv/bin/python tests/budgets/blocks.py $(ARGS)

list: setup ## List the models and the suites
	@.venv/bin/mnistbench list $(ARGS)

report: setup ## Rebuild the report of the newest run, or of ARGS="RUN"
	@.venv/bin/mnistbench report $(ARGS)

readme: setup ## Bring the tables of the READMEs up to date; ARGS=--check fails if one is not
	@.venv/bin/python .ci/readme.py $(ARGS)

fetch: setup ## Fetch and check MNIST; ARGS="--from PLACE" names a folder or another mirror
	@.venv/bin/mnistbench fetch $(ARGS)

# Two test files at a time; ARGS="-n 0" runs them one after another, for example for --pdb.
SIDE_BY_SIDE = -n 2 --dist loadfile

test: setup ## Run the tests, all but the slow ones
	.venv/bin/pytest $(SIDE_BY_SIDE) $(ARGS)

test-all: setup ## Run all tests
	.venv/bin/pytest -m "" $(SIDE_BY_SIDE) $(ARGS)

faults: setup ## Test every fault of the fault matrix, and print its expected and its actual outcome
	.venv/bin/python -m pytest -p tests.support.fault_matrix -m "" -q -r f $(ARGS)

# axe-core checks accessibility in the browser tests; without npm or Chromium these are skipped with a note.
AXE = axe-core@4.14.1

node_modules/axe-core/axe.min.js:
	@npm install --no-save --no-package-lock --silent --prefix . $(AXE) || echo 'No npm: accessibility is not tested.' >&2

browser-tests: setup node_modules/axe-core/axe.min.js ## Run the tests of report.html in headless Chromium
	.venv/bin/pytest -m slow tests/report/test_html.py $(ARGS)

screenshots: setup ## Take pictures of the newest run's report.html into screenshots/: light, dark, phone, print
	@PYTHONPATH=tests .venv/bin/python -m support.screenshots "$$(ls -t results/*/report.html results/*/*/report.html 2>/dev/null | head -n 1)" screenshots

check: setup ## Check format, lint, types, unused code and the architecture
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/vulture
	.venv/bin/pytest -q tests/test_architecture.py

wheel: setup ## Build the sdist and the wheel into dist/
	.venv/bin/python -m build --no-isolation $(ARGS)

lock: ## Write .requirements.lock with the newest versions that pyproject.toml allows
	@.ci/lock

clean: ## Remove caches and build products; .venv and results/ stay
	rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find .ci benchmarks mnistbench tests -name __pycache__ -prune -exec rm -rf {} +
