import numpy as np

def read_lines(
    text: bytes,
    start: int,
    codes: np.ndarray,
    written: int,
    at_line_start: bool,
    positions: np.ndarray,
    members: np.ndarray,
    ambiguous: int,
) -> tuple[int, int, int, bool, int, bool]: ...
def windows(
    genome: np.ndarray,
    offsets: np.ndarray,
    contigs: np.ndarray,
    starts: np.ndarray,
    out: np.ndarray,
) -> None: ...
def marks(
    genome: np.ndarray,
    offsets: np.ndarray,
    contigs: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    out: np.ndarray,
) -> None: ...
