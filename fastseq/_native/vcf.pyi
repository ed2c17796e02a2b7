import numpy as np

def read_sites(
    text: bytes, start: int, last: bool, room: int
) -> tuple[
    int,
    int,
    int,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
]: ...

FRESH: int

def cut_lines(text: bytes, state: int) -> tuple[bytes, int]: ...
