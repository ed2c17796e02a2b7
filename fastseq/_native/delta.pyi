from numpy import int64, uint8, uint64
from numpy.typing import NDArray

FIELDS: tuple[str, ...]
KINDS: tuple[str, ...]
LANE: int
BLOCK: int
ALTERNATIVES: int

def has_bfloat16() -> bool: ...
def run(
    steps: NDArray[int64],
    values: NDArray[int64],
    references: NDArray[int64],
    outs: NDArray[int64],
    codes: NDArray[uint8],
    row: NDArray[int64],
    start: NDArray[int64],
    inserted: NDArray[uint8],
    data: NDArray[uint8],
    masks: NDArray[uint64],
    ranges: NDArray[int64],
    chunk: int,
    narrow: bool,
) -> None: ...
