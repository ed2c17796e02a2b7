"""Kernel tests run on the GPU where there is one, else in an interpreting child process."""

import pytest
import torch

from tests.kernels.interpreter import Interpreter

CHILD = pytest.StashKey[Interpreter]()


def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: launches Triton kernels, interpreted without a GPU")
    config.stash[CHILD] = Interpreter()


def pytest_unconfigure(config):
    config.stash[CHILD].close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Hand a kernel test to the child; its failure is reported here with the child's traceback."""
    if pyfuncitem.get_closest_marker("kernel") is None or torch.cuda.is_available():
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    child = pyfuncitem.config.stash[CHILD]
    report = child.call(pyfuncitem.path, pyfuncitem.originalname, arguments)
    if report is not None:
        pytest.fail(report, pytrace=False)
    return True
