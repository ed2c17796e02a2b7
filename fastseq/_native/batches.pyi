import numpy as np

def expand(codes: np.ndarray, table: np.ndarray, out: np.ndarray, reversed: bool) -> None: ...
def draw(
    records: np.ndarray,
    length: int,
    unknown: bool,
    rows: np.ndarray,
    shift: np.ndarray | None,
    turned: int,
    words: np.ndarray,
    table: np.ndarray,
    out: np.ndarray,
) -> None: ...
