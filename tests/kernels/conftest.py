"""Kernel tests run on the GPU where there is one, else in an interpreting child process.

``FASTSEQ_LONG=1`` adds the tests marked ``long``: every combination, every committed launch.
"""

import os

import pytest
import torch

from tests.kernels.interpreter import Interpreter

CHILD = pytest.StashKey[Interpreter]()
LONG = os.environ.get("FASTSEQ_LONG") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "kernel: launches Triton kernels, interpreted without a GPU")
    config.addinivalue_line("markers", "long: only with FASTSEQ_LONG=1")
    config.stash[CHILD] = Interpreter()


def pytest_unconfigure(config):
    config.stash[CHILD].close()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="set FASTSEQ_LONG=1 (make check-long)"))


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
