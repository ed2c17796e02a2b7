"""Networks have the published number of parameters, to the unit, and the layers they are said to.

Counts: each team's code run and counted, the human and fly variants of Prix Fixe included.
"""

import pytest
import torch
from torch.nn import functional as F

from fastseq.errors import LengthError, OptionError
from fastseq.models.legnet import BilinearSqueezeExcite
from fastseq.models.registry import build

HUMAN = {"length": 230, "final": "regression", "singleton_channel": False}
FLY = {"length": 249, "final": "regression", "tasks": 2, "singleton_channel": False}

COUNTS = [
    ("legnet", {}, 1_852_846),
    ("legnet_optimized", {}, 2_129_602),
    ("legnet_prixfixe", {}, 1_725_122),
    ("legnet_mpra", {}, 1_322_465),
    ("legnet_mpra", {"kernel": 5, "inner_kernel": 3}, 857_825),
    ("dream_cnn", {}, 1_933_970),
    ("dream_cnn", HUMAN, 1_945_857),
    ("dream_cnn", FLY, 1_962_754),
    ("dream_rnn", {}, 4_130_578),
    ("dream_rnn", HUMAN, 4_203_393),
    ("dream_rnn", FLY, 4_285_826),
    ("dream_attn", {}, 4_539_410),
    ("dream_attn", HUMAN, 4_619_521),
    ("dream_attn", FLY, 4_690_434),
    ("bhi", {}, 6_875_137),
    ("unlock_dna", {}, 47_425_543),
    ("camformers", {}, 16_611_073),
    ("nad", {}, 14_176_716),
    # by hand from the teams' layers; Keras also counts running means and variances
    ("high_schoolers", {}, 4_688_321 - 2 * 3776),
    ("bionml", {}, 78_725_271 - 2 * 11_648),
    ("wztr", {}, 4_823_297),
    ("bugf", {}, 4_481_043),
    # Keras counts the running mean and variance of its 544 normalised features as well
    ("mt", {}, 3_148_929 - 2 * 544),
    # by hand from the authors' layer list; an LSTM has two biases a gate here, one in Keras
    ("vaishnav", {}, 1_295_505 + 2 * 4 * 8),
    ("deepromoter", {}, 365_378),
    ("deepromoter", {"length": 271}, 296_798),
]


@pytest.mark.parametrize(("name", "sizes", "count"), COUNTS)
def test_parameters(name, sizes, count):
    with torch.device("meta"):
        model = build(name, **sizes)
    assert sum(weight.numel() for weight in model.parameters()) == count


def test_dream_blocks_recombine():
    with torch.device("meta"):
        for first in ("autosome", "bhi"):
            for core in ("autosome", "bhi", "unlock_dna"):
                for final in ("bins", "regression"):
                    build("dream", first=first, core=core, final=final)
        named, composed = build("dream_cnn"), build("dream", first="bhi", core="autosome")
    assert str(named) == str(composed)


def test_the_bilinear_gate_equals_the_full_tensor():
    torch.manual_seed(0)
    gate = BilinearSqueezeExcite(16, 8).double()
    for factor in (gate.left, gate.right, gate.out, gate.weight):
        torch.nn.init.normal_(factor)
    x = torch.randn(3, 16, 5, dtype=torch.float64)
    z = gate.reduce(x.mean(-1))
    full = torch.einsum("r,ir,jr,kr->ijk", gate.weight, gate.left, gate.right, gate.out)
    bilinear = torch.einsum("ni,nj,ijk->nk", z, z, full) + gate.bias
    expected = x * gate.expand(F.silu(torch.cat((z, bilinear), 1))).sigmoid()[..., None]
    torch.testing.assert_close(gate(x), expected)


def test_networks_that_pad_take_shorter_and_full_lengths():
    for name, sizes in (
        ("wztr", {"length": 142, "stem": 8, "channels": 8, "blocks": 1, "repeats": 1}),
        ("mt", {"hidden": 8}),
    ):
        model = build(name, **sizes).eval()
        codes = torch.randint(0, 4, (2, model.input_spec.length), dtype=torch.uint8).numpy()
        with torch.no_grad():
            assert model(model.input_spec.expand(codes)).shape == (2, 1)


def test_deepromoters_logit_is_the_softmax_of_its_two_classes():
    model = build("deepromoter").eval()
    x = torch.randn(2, 4, 300)
    with torch.no_grad():
        two = model.head(model.mix(model.body(x).transpose(1, 2)))
        torch.testing.assert_close(model(x)[:, 0].sigmoid(), two.softmax(1)[:, 1])


def test_bpnet_gives_profile_and_counts_and_basenji_bins():
    bpnet = build("bpnet", length=64, channels=8, layers=2, tasks=2, profile=40, head="both").eval()
    x = torch.randn(3, 4, 64)
    with torch.no_grad():
        both, profile, counts = (bpnet.answering(head)(x) for head in ("both", "profile", "counts"))
        assert profile.shape == (3, 2, 40)
        torch.testing.assert_close(both.softmax(-1), profile.softmax(-1))
        torch.testing.assert_close(both.logsumexp(-1), counts)
        assert build("basenji", length=64, channels=8, bins=4)(x).shape == (3, 1, 4)
    with pytest.raises(OptionError, match="expected one of counts, profile, both"):
        bpnet.answering("shape")
    with pytest.raises(LengthError, match="profile=65 of 64 bp; expected 1 to 64"):
        build("bpnet", length=64, profile=65)


def test_bpnets_profile_is_the_middle_of_the_whole_one():
    torch.manual_seed(0)
    whole = build("bpnet", length=64, channels=8, layers=2, profile_kernel=7, head="profile").eval()
    middle = build("bpnet", **{**whole.sizes, "profile": 20}).eval()
    middle.load_state_dict(whole.state_dict())
    x = torch.randn(2, 4, 64)
    with torch.no_grad():
        torch.testing.assert_close(middle(x), whole(x)[..., 22:42])
        features = whole.body(whole.stem(x))
        counts = whole.counts(features[..., 19:45])
        torch.testing.assert_close(middle.answering("counts")(x), counts)


@pytest.mark.parametrize(
    ("name", "length"),
    [("deepstarr", 15), ("deepromoter", 5), ("camformers", 9), ("wztr", 143), ("mt", 143),
     ("unlock_dna", 101), ("basenji", 100), ("nad", 11), ("high_schoolers", 31)],
)  # fmt: skip
def test_a_length_it_cannot_take_says_what_it_can(name, length):
    with pytest.raises(ValueError, match=rf"{length} bp.*expected"):
        build(name, length=length)


def test_kernels_on_both_strands_trade_places_under_reverse_complement():
    # of odd width, as an even kernel reaches one base further to the right
    strands = build("vaishnav", channels=8, kernel=29).strands.eval()
    codes = torch.randint(0, 4, (2, 110), dtype=torch.uint8)
    x = F.one_hot(codes.long(), 4).float().transpose(1, 2)
    with torch.no_grad():
        forward, reverse = strands(x).chunk(2, dim=1)
        turned_forward, turned_reverse = strands(x.flip(1, 2)).flip(2).chunk(2, dim=1)
    torch.testing.assert_close(turned_forward, reverse)
    torch.testing.assert_close(turned_reverse, forward)
