"""NAD's 5-mers, distances and vectors against plain loops."""

import math

import numpy as np
import torch

from fastseq.models.nad import RelativeBias, glove
from fastseq.models.registry import build

TINY = {"widths": (8, 8, 8, 8, 16), "embedding": 8, "depths": (1,) * 4, "heads": 2}


def test_a_token_is_the_vector_of_the_five_bases_around_it():
    model = build("nad", **TINY).eval()
    codes = np.random.default_rng(0).integers(0, 4, (3, 110), dtype=np.uint8)
    codes[1, 40] = 4
    found = model._embed(model.input_spec.expand(codes))
    for row in range(3):
        for token in (0, 20, 25, 79):
            five = codes[row, 15 + token : 20 + token]
            number = (
                int("".join(map(str, five)), 5) if 4 in five else int("".join(map(str, five)), 4)
            )
            wanted = torch.zeros(8) if 4 in five else model.vectors[number]
            torch.testing.assert_close(found[row, :, token], wanted)


def test_bases_outside_the_core_and_its_two_neighbours_do_not_count():
    model = build("nad", **TINY).eval()
    codes = np.random.default_rng(1).integers(0, 4, (2, 110), dtype=np.uint8)
    codes[1] = codes[0]
    codes[1, :15], codes[1, 99:] = 3 - codes[1, :15], 3 - codes[1, 99:]
    with torch.no_grad():
        one, other = model(model.input_spec.expand(codes))
    assert torch.equal(one, other)


def bucket(offset, buckets=32, furthest=128):
    """T5's bucket of query minus key, as the paper's code has it."""
    half = buckets // 2
    found, away = (half if offset < 0 else 0), abs(offset)
    exact = half // 2
    if away < exact:
        return found + away
    log = math.log(away / exact) / math.log(furthest / exact) * (half - exact)
    return found + min(exact + int(log), half - 1)


def test_distances_fall_into_the_buckets_of_t5():
    torch.manual_seed(0)
    bias = RelativeBias(heads=2, scale=8.0)
    found = bias(80)
    for query, key in [(0, 0), (0, 79), (79, 0), (3, 10), (10, 3), (40, 60), (20, 27), (11, 3)]:
        wanted = 8 * bias.bias.weight[bucket(query - key)]
        torch.testing.assert_close(found[:, query, key], wanted)


def test_vectors_of_5mers_in_the_same_company_lie_together():
    rng = np.random.default_rng(0)
    words = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [2, 2, 2, 2, 2], [3, 3, 3, 3, 3]], np.uint8)
    # A beside C, G beside T
    pairs = np.where(rng.random((200, 1)) < 0.5, [[0, 1]], [[2, 3]]).repeat(4, 0).reshape(200, -1)
    vectors = glove(words[pairs].reshape(200, -1), 16, steps=50)
    assert vectors.shape == (1024, 16)
    a, c, g, _ = (vectors[n] for n in (0, 341, 682, 1023))
    cosine = torch.nn.functional.cosine_similarity
    assert cosine(a, c, 0) > cosine(a, g, 0)
    assert torch.equal(vectors, glove(words[pairs].reshape(200, -1), 16, steps=50))
