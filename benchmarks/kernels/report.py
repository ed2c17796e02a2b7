"""Figures of one run, in a file that is complete at every moment."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
import triton
from fastseq_kernels import launch

from benchmarks.kernels.device import DEVICE
from benchmarks.run import stamp

# exit code of a child whose CUDA context an error has spoilt
POISONED = 3


class Report:
    """Rows so far, in a file that is complete at every moment."""

    def __init__(self, path: Path, seconds: float, *, smoke: bool = False, goes_on: bool = False):
        self.path, self.smoke = path, smoke
        self.deadline = time.monotonic() + seconds
        self.head = stamp("python -m benchmarks.run kernels --gpu") | {
            "gpu": torch.cuda.get_device_name() if DEVICE.type == "cuda" else "none: interpreted",
            "cuda": torch.version.cuda,
            "torch": torch.__version__,
            "triton": triton.__version__,
        }
        self.head["machine"]["gpu"] = self.head["gpu"]
        self.rows: list[dict] = json.loads(path.read_text())["rows"] if goes_on else []

    def known(self, section: str, name: str) -> dict | None:
        """Return a figure's row, None where it has not been begun."""
        return next((r for r in self.rows if (r["section"], r["name"]) == (section, name)), None)

    def write(self) -> None:
        """Write the file anew, all of it or not at all."""
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps({**self.head, "rows": self.rows}, indent=1) + "\n")
        part.replace(self.path)

    def add(
        self, section: str, name: str, figure: Callable[[], dict], *, again: bool = False
    ) -> dict | None:
        """Record what ``figure`` returns, or why it could not.

        A figure that stands in the file, as one that killed an earlier process does, is not tried
        a second time, unless it worked and ``again`` says that its doing is needed here.
        """
        known = self.known(section, name)
        if known is not None:
            self.rows.remove(known)
        if known is not None and (not again or "error" in known):
            row = known
        elif time.monotonic() > self.deadline:
            row = {"section": section, "name": name, "error": "not reached in the time given"}
        else:
            row = {"section": section, "name": name}
            self.rows.append(row | {"error": "the process ended in it"})
            self.write()
            self.rows.pop()
            row = self.tried(row, figure)
        # JSON has no NaN: a smoke test has no times
        row = {k: None if v != v else v for k, v in row.items()}
        self.rows.append(row)
        self.write()
        if known is None:
            values = "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}"
                               for k, v in row.items() if k not in ("section", "name"))  # fmt: skip
            print(f"{section:9} {name:72} {values[:300]}", flush=True)
        if "CUDA error" in row.get("error", "") and known is None:
            os._exit(POISONED)  # no later call of this process would work
        return None if "error" in row else row

    def tried(self, row: dict, figure: Callable[[], dict]) -> dict:
        """Return a row with its figure's values, or with its error."""
        try:
            found = row | figure()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()  # a fault of this figure must not show in the next
            return found
        except Exception as error:  # one figure lost must not cost the others
            return row | {"error": f"{type(error).__name__}: {error}"}

    def propose(self, tables: dict[str, list[dict]]) -> None:
        """Write launch configurations beside the results."""
        path = self.path.with_suffix(".configs.json")
        path.write_text(json.dumps({launch.architecture(DEVICE): tables}, indent=1) + "\n")

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the median time of a call; once and unmeasured in a smoke test."""
        if self.smoke:
            call()
            return float("nan")
        return triton.testing.do_bench(call, warmup=10, rep=60, return_mode="median")
