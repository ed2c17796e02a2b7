import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastseq.errors import DTypeError, ShapeError
from fastseq.show.canvas import panels
from fastseq.show.logo import LETTERS, draw_logo, glyph, observed
from tests.reference import logo as reference

WHOLE = st.integers(-50, 50).map(float)


def drawn(heights, start=0):
    """Return what was drawn as the reference tells it, read back from the paths."""
    _, (axes,) = panels(1, width=4, height=1)
    letters = draw_logo(axes, heights, start=start)
    found = []
    for letter, path in zip(LETTERS, letters.get_paths()):
        for copy in path.vertices.reshape(-1, len(glyph(letter).vertices), 2):
            x, y = copy.T
            upright = np.argmax(y) == np.argmax(glyph(letter).vertices[:, 1])
            near, far = (y.min(), y.max()) if upright else (y.max(), y.min())
            found.append((letter, round(x.mean()) - start, near, far))
    return found, axes


@settings(max_examples=60, deadline=None)
@given(arrays(float, st.tuples(st.just(4), st.integers(1, 9)), elements=WHOLE))
def test_letters_stand_where_the_reference_puts_them(heights):
    # equal sizes may stand in either order, so make them differ
    heights = heights + np.sign(heights) * np.array([[0.1], [0.2], [0.3], [0.4]])
    found, axes = drawn(heights)
    expected = reference.boxes(heights)
    bottom, top = axes.get_ylim()
    expected = [box for box in expected if abs(box[3] - box[2]) > (top - bottom) / 400]
    found = {box[:2]: box[2:] for box in found}
    for letter, position, near, far in expected:
        edges = sorted(found[letter, position])
        assert edges == pytest.approx(sorted((near, far)), abs=1e-6)
        assert bottom <= min(near, far)
        assert max(near, far) <= top


def test_start_moves_the_letters_and_the_axis():
    heights = np.eye(4)
    found, axes = drawn(heights, start=100)
    assert sorted(box[1] for box in found) == [0, 1, 2, 3]
    assert axes.get_xlim() == (99.5, 103.5)


@pytest.mark.parametrize("heights", [np.zeros((4, 5)), np.full((4, 3), np.nan)])
def test_nothing_to_draw_is_an_empty_logo(heights):
    found, axes = drawn(heights)
    assert found == []
    low, high = axes.get_ylim()
    assert low < high


def test_observed_leaves_unknown_bases_empty():
    codes = np.array([0, 1, 2, 3, 4], np.uint8)
    heights = observed(codes, np.arange(1.0, 6.0))
    assert (heights[:, 4] == 0).all()
    assert heights[:, :4].tolist() == np.diag([1.0, 2.0, 3.0, 4.0]).tolist()


@pytest.mark.parametrize(
    ("heights", "error"),
    [(np.zeros((5, 4)), ShapeError), (np.zeros(4), ShapeError), (np.full((4, 2), "A"), DTypeError)],
)
def test_what_is_no_logo_is_refused(heights, error):
    _, (axes,) = panels(1, width=4, height=1)
    with pytest.raises(error, match="heights"):
        draw_logo(axes, heights)


def test_observed_refuses_two_lengths():
    with pytest.raises(ShapeError, match="scores"):
        observed(np.zeros(3, np.uint8), np.zeros(4))
