import numpy as np

def pack(
    capsule: object, first: int, last: int, at: np.ndarray, out: np.ndarray, unknown: np.ndarray
) -> None: ...
def runs(capsule: object, row: int, out: np.ndarray) -> int: ...
def unpack(packed: np.ndarray, begin: int, end: int, out: np.ndarray) -> None: ...
def unpack_rows(
    packed: np.ndarray,
    at: np.ndarray,
    sizes: np.ndarray,
    first: int,
    last: int,
    out: np.ndarray,
) -> None: ...
