"""Every benchmark case runs at its tiny size, and its answer is right."""

from importlib import import_module

import pytest

from benchmarks.run import modules


@pytest.mark.parametrize("name", list(modules()))
def test_cases_run_and_are_right(name, subtests):
    bench = import_module(f"benchmarks.{name}")
    for case in bench.cases("tiny"):
        with subtests.test(case.name):
            if case.check:
                case.check()
            case.run()
            for rival in case.rivals:
                rival.run()


@pytest.mark.parametrize("name", list(modules()))
def test_first_case_under_pytest_benchmark(name, benchmark):
    benchmark(next(iter(import_module(f"benchmarks.{name}").cases("tiny"))).run)
