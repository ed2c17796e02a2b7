"""Letters as tall as their numbers: a sequence logo as one collection of paths."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from fastseq._lazy import load
from fastseq.arrays import Codes, check
from fastseq.show.canvas import AMBER, BLUE, GREEN, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.path import Path

LETTERS = "ACGT"

COLORS = {"A": GREEN, "C": BLUE, "G": AMBER, "T": ORANGE}


@cache
def glyph(letter: str) -> "Path":
    """Return a letter's outline, stretched to the unit square."""
    font = load("matplotlib.font_manager").FontProperties(family="DejaVu Sans", weight="bold")
    outline = load("matplotlib.textpath").TextPath((0, 0), letter, size=1, prop=font)
    box = outline.get_extents()
    vertices = (outline.vertices - box.min) / box.size
    return load("matplotlib.path").Path(vertices, outline.codes)


def observed(codes: Codes, scores: np.ndarray) -> np.ndarray:
    """Return scores of the observed bases as letter heights; unknown bases have no letter.

    Parameters
    ----------
    codes : uint8, (l,)
    scores : float, (l,)

    Returns
    -------
    ndarray
        float64, (4, l): the score in the row of the observed base, 0 elsewhere.

    Examples
    --------
    >>> observed(np.array([0, 3, 4], np.uint8), np.array([0.5, -1.0, 2.0]))[:, :2].tolist()
    [[0.5, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, -1.0]]
    """
    codes = check("codes", codes, "l", dtype="uint8")
    scores = check("scores", scores, "l", dtype=("f", "i"), l=len(codes))
    heights = np.zeros((4, len(codes)))
    (known,) = np.nonzero(codes < 4)
    heights[codes[known], known] = scores[known]
    return heights


def draw_logo(
    axes: "Axes", heights: np.ndarray, *, start: int = 0, colors: Sequence[str] = ()
) -> "PathCollection":
    """Draw one letter per non-zero height and return the collection that holds them all.

    Positive letters are stacked upwards from zero and negative ones, upside down, downwards,
    the tallest farthest out.

    Parameters
    ----------
    axes : matplotlib Axes
    heights : float, (4, l)
        Height of A, C, G, T at each position; not finite means no letter.
    start : int
        Coordinate of the first position.
    colors : sequence of 4 str
        Colours of A, C, G, T.

    Raises
    ------
    ShapeError
        Heights that are not (4, l).

    Notes
    -----
    All copies of a letter are one compound path, so the cost is four paths at any length.
    """
    heights = check("heights", heights, "4 l", dtype=("f", "i"))
    heights = np.where(np.isfinite(heights), heights, 0.0)
    up, down = _stacks(np.maximum(heights, 0)), _stacks(np.maximum(-heights, 0))
    top, bottom = up[0].max(initial=0), -down[0].max(initial=0)
    # a letter below a five-hundredth of the panel is less than a hair and most of the vertices
    hair = (top - bottom) / 500
    paths = []
    for letter, upper, lower in zip(LETTERS, zip(*up), zip(*down)):
        # upside down: the same boxes, mirrored at zero
        boxes = np.concatenate([np.stack(upper), -np.stack(lower)], axis=1)
        paths.append(_copies(glyph(letter), boxes, start, hair))
    letters = load("matplotlib.collections").PathCollection(
        paths, facecolors=list(colors) or [COLORS[letter] for letter in LETTERS], linewidths=0
    )
    axes.add_collection(letters, autolim=False)
    length = heights.shape[1]
    room = 0.05 * (top - bottom) or 1.0
    axes.set_xlim(start - 0.5, start + length - 0.5)
    axes.set_ylim(bottom - room * (bottom < 0), top + room)
    return letters


def _stacks(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the far and near edge of each letter, (4, l) each, the tallest farthest out."""
    order = np.argsort(sizes, axis=0, kind="stable")
    ordered = np.take_along_axis(sizes, order, axis=0)
    edges = np.cumsum(ordered, axis=0)
    far, near = np.empty_like(edges), np.empty_like(edges)
    np.put_along_axis(far, order, edges, axis=0)
    np.put_along_axis(near, order, edges - ordered, axis=0)
    return far, near


def _copies(outline: "Path", boxes: np.ndarray, start: int, hair: float) -> "Path":
    """Return one path with a copy of ``outline`` in each box (far, near) taller than a hair."""
    far, near = boxes
    (shown,) = np.nonzero(abs(far - near) > hair)
    x = start + shown % (len(far) // 2) - 0.5
    unit = np.asarray(outline.vertices)[None]
    vertices = np.stack(
        [
            x[:, None] + 0.04 + 0.92 * unit[..., 0],
            near[shown, None] + (far - near)[shown, None] * unit[..., 1],
        ],
        axis=-1,
    ).reshape(-1, 2)
    return load("matplotlib.path").Path(vertices, np.tile(np.asarray(outline.codes), len(shown)))
