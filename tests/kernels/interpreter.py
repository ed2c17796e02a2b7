"""Run test functions in a child process where Triton interprets its kernels.

Triton decides when a kernel is decorated whether it will be compiled or interpreted, so the two
cannot live in one process; and an address out of bounds kills the interpreter, not the tests.

    python interpreter.py        # serves pickled (file, function, arguments) on standard input
"""

import importlib.util
import os
import pickle
import signal
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
# one thread: small matrices lose 2-4x to a busy pool
SETTINGS = {"TRITON_INTERPRET": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


class Interpreter:
    """A child process, started at the first call and again after a crash."""

    def __init__(self):
        self.child: subprocess.Popen | None = None

    def call(self, file: Path, function: str, arguments: dict) -> str | None:
        """Return the traceback of a test function run in the child, None when it passed."""
        if self.child is None or self.child.poll() is not None:
            self.close()
            paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
            self.child = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env=os.environ | SETTINGS | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            )  # fmt: skip
        try:
            pickle.dump((str(file), function, arguments), self.child.stdin)
            self.child.stdin.flush()
            return pickle.load(self.child.stdout)
        except (EOFError, BrokenPipeError):
            status = self.child.wait()
            died = signal.Signals(-status).name if status < 0 else f"exit code {status}"
            return f"the interpreter died ({died}); SIGSEGV is an unmasked address out of bounds"

    def close(self) -> None:
        """End the child, if there is one."""
        if self.child is not None:
            with suppress(BrokenPipeError):
                self.child.stdin.close()
            self.child.wait()
            self.child.stdout.close()


def serve() -> None:
    """Answer each request with None or a traceback, until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what tests print must not mix with the answers
    loaded = {}
    while True:
        try:
            file, function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            if file not in loaded:
                spec = importlib.util.spec_from_file_location(Path(file).stem, file)
                loaded[file] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(loaded[file])
            getattr(loaded[file], function)(**arguments)
            answer = None
        except BaseException:  # pytest's own outcomes are no Exception
            answer = traceback.format_exc()
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve()
