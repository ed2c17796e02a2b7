import numpy as np

WORK: int
LONGEST: int
OBSERVED: int
NORM: int
SQUARE: int

def table_offset(lo: int, k: int) -> int: ...
def score(
    codes: np.ndarray, values: np.ndarray, score: int, correct: bool, out: np.ndarray
) -> int: ...
def weigh(
    codes: np.ndarray,
    values: np.ndarray,
    source: np.ndarray | None,
    shifts: np.ndarray | None,
    score: int,
    correct: bool,
    bits: int,
    lo: int,
    hi: int,
    tables: np.ndarray,
) -> tuple[int, int]: ...
def spread(work: np.ndarray) -> None: ...
def count(codes: np.ndarray, lo: int, hi: int, tables: np.ndarray) -> None: ...
def count_blocks(
    codes: np.ndarray,
    values: np.ndarray,
    source: np.ndarray | None,
    shifts: np.ndarray | None,
    score: int,
    correct: bool,
    quantile: float,
    buffer: int,
    lo: int,
    hi: int,
    tables: np.ndarray,
) -> tuple[int, int]: ...
def spread_counts(lo: int, hi: int, tables: np.ndarray) -> None: ...
def by_row(
    codes: np.ndarray,
    scores: np.ndarray,
    source: np.ndarray | None,
    shifts: np.ndarray | None,
    bits: int,
    k: int,
    products: np.ndarray | None,
    prior: np.ndarray | None,
    divergences: np.ndarray | None,
) -> tuple[int, int]: ...
def divergence(p: np.ndarray, q: np.ndarray) -> float: ...
def divergence_of_weights(p: np.ndarray, q: np.ndarray) -> float: ...
