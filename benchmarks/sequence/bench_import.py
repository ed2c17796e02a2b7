"""Starting Python and importing, as whole processes."""

import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.run import Case, Rival

# `import fastseq` may take 1.3 times as long as `import numpy`
GOAL = 1 / 1.3


def imports(statement: str, times: int) -> Callable[[], None]:
    """Return a call that starts Python and runs a statement, several times."""
    return lambda: [subprocess.run([sys.executable, "-c", statement], check=True)
                    for _ in range(times)] and None  # fmt: skip


def cases(size: str) -> Iterator[Case]:
    """Yield the import alone and up to the first encoded sequence."""
    times = {"tiny": 1, "full": 5}[size]
    numpy = Rival("import numpy", imports("import numpy", times), "numpy", GOAL)
    for name, statement in (
        ("import fastseq", "import fastseq"),
        ("import fastseq and encode", "import fastseq; fastseq.encode('ACGT')"),
    ):
        yield Case(
            name, imports(statement, times), times, "starts", "a new process", [numpy], clock="wall"
        )
