# make demo       set up .venv, run the main job on bundled data, print where the report is
# make test       the same set-up, then style, types and the fast tests
# make test-all   the same, then the slow tests too
# make bench      every benchmark in full, or one: make bench NAMES=r52
# make bench-quick  each method's headline, or some: make bench-quick QUICK="r52 muka" TIMED=
# make docs       write again what is generated from the code
PYTHON ?= python3
NAMES ?= step annotate store r52 tables panel audit peer_advised peer_cost auto signals stopping sampling ta_in_the_loop muka worlds kernels onednn okd okd_step trainer_step textbrewer
QUICK ?= peer_advised ta_in_the_loop okd auto worlds muka panel tables r52
TIMED ?= kernels
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-slow test-all check bench bench-quick docs

demo: $(INSTALLED)
	$(BIN)/distrust demo

test: check
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: $(INSTALLED)
	$(BIN)/pytest -m slow

test-all: test test-slow

check: $(INSTALLED)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

# 75: what a benchmark needs is not here (data, a peer); it has said so, and the others go on
bench: $(INSTALLED)
	set -e; for name in $(NAMES); do $(BIN)/python -m benchmarks $$name || test $$? -eq 75; done

# two at a time, the longest first; what is timed runs alone
bench-quick: export OMP_NUM_THREADS = 1
bench-quick: $(INSTALLED)
	printf '%s\n' $(QUICK) | xargs -P 2 -I NAME sh -c '$(BIN)/python -m benchmarks NAME --quick || test $$? -eq 75'
	set -e; for name in $(TIMED); do $(BIN)/python -m benchmarks $$name --quick || test $$? -eq 75; done

docs: $(INSTALLED)
	$(BIN)/python -m distrust.reference docs/recipe.md
	$(BIN)/python -m distrust.api_reference docs/api.md
	$(BIN)/python -m benchmarks._readme
	$(BIN)/python -m benchmarks._audit_page
	$(BIN)/python -m benchmarks._kernels_page
	$(BIN)/python -m benchmarks._muka_page
	$(BIN)/python -m benchmarks._okd_page
	$(BIN)/python -m benchmarks._panel_page
	$(BIN)/python -m benchmarks._peer_page
	$(BIN)/python -m benchmarks._signals_page
	$(BIN)/python -m benchmarks._ta_page
	$(BIN)/python -m benchmarks._which_page
	$(BIN)/python -m benchmarks._worlds_page

# torch goes first and pinned: whatever comes later then leaves it alone.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@
