import numpy as np

def composition(
    capsule: object, first: int, last: int, gc: np.ndarray, known: np.ndarray
) -> None: ...
def duplexes(
    capsule: object, first: int, last: int, table: np.ndarray, out: np.ndarray
) -> None: ...
