"""Where the letters of a logo stand, one letter at a time."""

import numpy as np


def boxes(heights: np.ndarray) -> list[tuple[str, int, float, float]]:
    """Return (letter, position, near edge, far edge) of every letter, the tallest farthest out."""
    found = []
    for position, column in enumerate(heights.T):
        for sign in (1, -1):
            edge = 0.0
            for size, letter in sorted(
                (sign * value, letter) for letter, value in zip("ACGT", column)
            ):
                if size > 0:
                    found.append((letter, position, sign * edge, sign * (edge + size)))
                    edge += size
    return found
