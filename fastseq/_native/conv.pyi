from numpy import int64, uint8
from numpy.typing import NDArray

LAYER: tuple[str, ...]
STEM: tuple[str, ...]
GROUPS: tuple[str, ...]
ACTIVATIONS: tuple[str, ...]
BLOCK: int
LETTERS: int

def has_bfloat16() -> bool: ...
def scratch(layer: NDArray[int64]) -> int: ...
def run(
    layer: NDArray[int64], x: int, skip: int, y: int, n: int, scratch: int, narrow: bool
) -> None: ...
def run_stem(
    layer: NDArray[int64], codes: NDArray[uint8], y: int, scratch: int, narrow: bool
) -> None: ...
def run_groups(layer: NDArray[int64], x: int, y: int, n: int, narrow: bool) -> None: ...
