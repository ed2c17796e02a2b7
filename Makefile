# everything but Ray, which only a cluster needs
EXTRAS ?= models,genome,numba,trees,gpu,show,esm,explain,onnx,zarr,dev,docs
# the first of these that runs and is new enough
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell \
	$(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: setup demo test lint docs native wheel sanitize check-long constraints
setup: .venv/setup

# a change of the declared packages installs again; a change of native code only rebuilds it
.venv/setup: pyproject.toml setup.py constraints.txt $(wildcard csrc/* csrc/include/*)
	@echo "installing into .venv: minutes the first time, and gigabytes with PyTorch for a GPU"
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install -q --disable-pip-version-check -c constraints.txt \
		$(if $(filter %.toml %.txt,$?),-e '.[$(EXTRAS)]',--no-deps -e .)
	touch $@

demo: setup
	fastseq demo

# a process a core, at most four; the tests of one file share one
test: setup
	pytest -n auto --maxprocesses 4 --dist loadfile

lint: setup
	ruff check
	ruff format --check
	cython-lint csrc
	pyright

# the site is in build/site; a warning is an error
docs: setup
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet

# rebuild in place, one build at a time
native:
	flock .venv/build.lock python setup.py -q build_ext --inplace

wheel: setup
	rm -rf dist
	python -m build

# -s, or pytest swallows the report
sanitize: setup
	FASTSEQ_SANITIZE=1 python -m pip install -q --no-deps -e .
	LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
		python -m pytest -s tests/sequence tests/reliability tests/io tests/hostile tests/lower/test_native.py \
		tests/lower/test_incremental.py::test_every_instruction_set_is_exact \
		tests/lower/test_incremental.py::test_nothing_is_read_beside_weights_nor_of_old_scratch; \
	status=$$?; python -m pip install -q --no-deps -e . && exit $$status

# what is too slow for every change: sanitizers, every kernel shape, every target of the compiler
check-long: sanitize
	FASTSEQ_LONG=1 pytest tests/kernels tests/score/test_faults.py tests/score/test_map_faults.py \
		tests/score/test_seqlets.py tests/learn/test_parallel.py
	python -m benchmarks.kernels.aot

constraints: setup
	pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt
	touch .venv/setup
