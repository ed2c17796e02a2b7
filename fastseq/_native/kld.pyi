import numpy as np

WORK: int
LONGEST: int

def table_offset(lo: int, k: int) -> int: ...
def score_maps(
    codes: np.ndarray, maps: np.ndarray, norm: bool, correct: bool, out: np.ndarray
) -> int: ...
def weigh(
    codes: np.ndarray,
    scores: np.ndarray,
    source: np.ndarray,
    shifts: np.ndarray,
    bits: int,
    lo: int,
    hi: int,
    tables: np.ndarray,
) -> int: ...
def spread(work: np.ndarray) -> None: ...
def count(codes: np.ndarray, lo: int, hi: int, tables: np.ndarray) -> None: ...
def count_attributed(
    codes: np.ndarray,
    scores: np.ndarray,
    source: np.ndarray,
    shifts: np.ndarray,
    quantile: float,
    buffer: int,
    lo: int,
    hi: int,
    tables: np.ndarray,
) -> int: ...
def spread_counts(lo: int, hi: int, tables: np.ndarray) -> None: ...
def by_row(
    codes: np.ndarray,
    scores: np.ndarray,
    source: np.ndarray,
    shifts: np.ndarray,
    bits: int,
    k: int,
    products: np.ndarray | None,
    prior: np.ndarray | None,
    divergences: np.ndarray | None,
) -> int: ...
def divergence(p: np.ndarray, q: np.ndarray) -> float: ...
def divergence_of_weights(p: np.ndarray, q: np.ndarray) -> float: ...
