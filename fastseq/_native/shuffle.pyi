import numpy as np

def shuffle(
    capsule: object, first: int, last: int, k: int, seed: int, offset: int, out: np.ndarray
) -> None: ...
