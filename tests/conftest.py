"""One profile for generated inputs: the same examples everywhere, no clock; one torch thread.

``FASTSEQ_LONG=1`` adds the tests marked ``long``, which take minutes.
"""

import os

import pytest
from hypothesis import settings

# the nets here are small: a second OpenMP thread only spins, and long where the machine is busy
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("house", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("house")

LONG = os.environ.get("FASTSEQ_LONG") == "1"


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with FASTSEQ_LONG=1")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("long") and not LONG:
            item.add_marker(pytest.mark.skip(reason="set FASTSEQ_LONG=1 (make check-long)"))
