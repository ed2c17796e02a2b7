import numpy as np

def gather(
    codes: np.ndarray,
    rows: np.ndarray,
    shift: np.ndarray | None,
    turned: int,
    table: np.ndarray,
    out: np.ndarray,
) -> None: ...
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
