"""Whole networks of the zoo, small, by the kernels against float64 PyTorch."""

import pytest
import torch
from fastseq_kernels import reference

from benchmarks.kernels.device import one_hot
from benchmarks.kernels.nets import NETS, Flat, Plain
from fastseq.lower.plan import Plan
from tests.kernels.inputs import DEVICE, random_codes


def plain_and_truth(net):
    torch.manual_seed(1)
    plain = Plain(net).eval().requires_grad_(False).to(DEVICE)
    codes = random_codes(3, net.length)
    truth = plain.double()(one_hot(codes, torch.float64))
    return plain.float(), codes, truth


@pytest.mark.kernel
@pytest.mark.parametrize("index", range(len(NETS)), ids=[net.name for net in NETS])
def test_a_plan_is_the_plain_network(index):
    plain, codes, truth = plain_and_truth(NETS[index].small())
    plan = Plan(plain, length=codes.shape[1], device=DEVICE, micro_batch=3)
    found = torch.from_numpy(plan.predict(codes.cpu().numpy()))
    # the bound on a float32 plan
    assert reference.relative_error(found, truth) < 1e-5
    assert not [way for way in plan.kernels("+", codes.shape[1]).meta["how"].values()
                if way.startswith("PyTorch: no kernel")]  # fmt: skip


@pytest.mark.parametrize("index", range(len(NETS)), ids=[net.name for net in NETS])
def test_channels_last_rival_is_the_plain_one(index):
    plain, codes, truth = plain_and_truth(NETS[index].small())
    found = Flat(plain)(one_hot(codes, torch.float32))
    assert reference.relative_error(found, truth) < 1e-5


def test_operations_of_the_networks():
    """As counted for the roofline: MFLOP a sequence."""
    counted = {net.name: round(net.operations() / 1e6) for net in NETS}
    assert counted == {"TUM ResNet 110 bp": 17, "DeepSTARR 249 bp": 19,
                       "BPNet trunk 2,114 bp": 438, "LegNet optimised 150 bp": 566}  # fmt: skip
