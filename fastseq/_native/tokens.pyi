import numpy as np

class Ids:
    def __init__(
        self,
        code: np.ndarray,
        letter: np.ndarray,
        word: np.ndarray,
        k: int,
        first: int,
        last: int,
        pad: int,
    ) -> None: ...

def longest(capsule: object, ids: Ids) -> int: ...
def write(
    capsule: object, ids: Ids, first: int, last: int, out: np.ndarray, width: int, item: int
) -> None: ...
