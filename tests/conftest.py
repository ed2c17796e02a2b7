"""One profile for generated inputs: the same examples everywhere, no clock; one torch thread."""

import os

from hypothesis import settings

# the nets here are small: a second OpenMP thread only spins, and long where the machine is busy
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("house", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("house")
