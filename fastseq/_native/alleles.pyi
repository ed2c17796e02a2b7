import numpy as np

def resolve(
    text: np.ndarray,
    ref: np.ndarray,
    alt: np.ndarray,
    contig: np.ndarray,
    pos: np.ndarray,
    genome: np.ndarray,
    offsets: np.ndarray,
    ambiguous: np.ndarray,
    members: np.ndarray,
    normalize: bool,
    mismatch: int,
) -> tuple[
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
    np.ndarray,
]: ...
def gather(text: np.ndarray, spans: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
