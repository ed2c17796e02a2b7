import numpy as np

def gather(
    codes: np.ndarray,
    rows: np.ndarray,
    shift: np.ndarray | None,
    turned: int,
    table: np.ndarray,
    out: np.ndarray,
) -> None: ...
