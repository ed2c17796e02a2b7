import numpy as np

class Word:
    def __init__(self, span: int, care: int, canonical: bool, stride: int) -> None: ...

def count(
    capsule: object, word: Word, first: int, last: int, out: np.ndarray, large: bool
) -> None: ...
def count_rows(
    capsule: object,
    word: Word,
    first: int,
    last: int,
    out: np.ndarray,
    rank: np.ndarray | None = None,
) -> int: ...
def sparse_rows(
    capsule: object,
    word: Word,
    first: int,
    last: int,
    table: np.ndarray,
    marks: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    per_row: np.ndarray,
) -> int: ...
def list_words(
    capsule: object,
    word: Word,
    first: int,
    last: int,
    at: np.ndarray,
    out: np.ndarray,
    found: np.ndarray,
) -> None: ...
def sort_words(words: np.ndarray, k: int, out: np.ndarray) -> None: ...
def run_lengths(words: np.ndarray, distinct: np.ndarray, counts: np.ndarray) -> int: ...
def row_run_lengths(
    words: np.ndarray,
    found: np.ndarray,
    distinct: np.ndarray,
    counts: np.ndarray,
    per_row: np.ndarray,
) -> int: ...
def row_run_columns(
    words: np.ndarray,
    found: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    per_row: np.ndarray,
) -> int: ...
def turned(words: np.ndarray, k: int, out: np.ndarray) -> None: ...
