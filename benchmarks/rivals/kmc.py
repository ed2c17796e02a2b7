"""KMC 3, the disk-based counter, in memory as far as it lets itself be kept there."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

if not shutil.which("kmc"):
    raise ImportError("there is no program kmc (Debian's package of that name)")

_TOLD = subprocess.run(["kmc"], capture_output=True, text=True)
VERSION = re.search(r"ver\. (\S+)", _TOLD.stdout + _TOLD.stderr)[1]
# a memory file system where there is one: its disk is not what is compared
FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


def write_fasta(letters):
    """Return a FASTA file with one sequence, in lines of 80, that goes when it is let go."""
    file = tempfile.NamedTemporaryFile(dir=FOLDER, suffix=".fa")  # noqa: SIM115  (its caller keeps it)
    text = letters.tobytes()
    lines = [b">one", *(text[at : at + 80] for at in range(0, len(text), 80))]
    file.write(b"\n".join(lines) + b"\n")
    file.flush()
    return file


def count_kmers(file, k, *, write=False):
    """Count canonical k-mers of a FASTA file with one thread; return how many differ.

    Every k-mer counts (-ci1) and its count is kept whole (-cs); nothing is written (-w) unless
    asked, which spares KMC work that a user would want done.
    """
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        words = ["kmc", f"-k{k}", "-fm", "-ci1", "-cs4294967295", "-t1", "-m2", "-r", "-hp"]
        words += [] if write else ["-w"]
        done = subprocess.run(
            [*words, file.name, f"{folder}/out", folder], capture_output=True, text=True, check=True
        )
    return int(re.search(r"No\. of unique k-mers\s*:\s*(\d+)", done.stdout)[1])
