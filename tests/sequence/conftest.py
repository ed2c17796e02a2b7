"""Every native path of this processor runs the tests that ask for it."""

import pytest

from fastseq._native import cpu


@pytest.fixture(params=cpu.NAMES)
def path(request):
    """Run the test on the portable, the AVX2 and the AVX-512 code."""
    if request.param not in cpu.supported():
        pytest.skip(f"this processor has no {request.param}")
    before = cpu.use(request.param)
    yield request.param
    cpu.use(before)
