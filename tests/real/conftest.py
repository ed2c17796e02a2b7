"""Where the real data is, or why these tests do not run."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that FASTSEQ_REAL_DATA names; tests/real/README.md says what it holds."""
    named = os.environ.get("FASTSEQ_REAL_DATA")
    if not named:
        pytest.skip(
            "FASTSEQ_REAL_DATA is not set: tests/real/README.md says how to fill the folder"
        )
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"FASTSEQ_REAL_DATA={named} is no folder")
    return folder
