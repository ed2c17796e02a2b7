"""What a user waits for besides forward passes: scores of variants, and training."""

import time
from functools import partial

import torch
from torch import nn

from benchmarks.kernels.device import DEVICE, random
from benchmarks.kernels.networks import NET_TOLERANCE
from benchmarks.kernels.report import Report
from benchmarks.kernels.snvs import SNVs
from benchmarks.rivals import plain_loop
from fastseq.learn.train import train
from fastseq.models.registry import build
from fastseq.sequence.encode import decode


def variants(report: Report) -> None:
    """Time `score_variants` over every SNV of a region, and over a VCF."""
    made: list[SNVs] = []

    def ready() -> dict:
        begin = time.perf_counter()
        with torch.inference_mode(False), torch.enable_grad():
            made.append(SNVs(DEVICE, NET_TOLERANCE, smoke=report.smoke))
        return {"seconds": time.perf_counter() - begin}

    def scored(name: str) -> dict:
        with torch.inference_mode(False):
            return getattr(made[0], name)()

    if report.add("variants", "a network trained and lowered", ready, again=True):
        report.add("variants", "saturating", partial(scored, "saturating"))
        report.add("variants", "from a VCF", partial(scored, "from_vcf"))


def training(report: Report) -> None:
    """Time epochs of LegNet and DREAM-RNN, ours and as most people write them."""
    small = {"legnet": {"stem": 16, "widths": (16,)}, "dream_rnn": {}}
    for name in ("legnet",) if report.smoke else small:
        rows = 64 if report.smoke else 65536
        sizes = small[name] if report.smoke else {}
        length = 20 if report.smoke else 110
        codes = random(rows, length, dtype=torch.uint8).cpu().numpy() % 4
        labels = codes.astype("float32").mean(1)

        def ours(name=name, codes=codes, labels=labels, sizes=sizes) -> dict:
            with torch.inference_mode(False), torch.enable_grad():
                result = train(name, (codes, labels), validation=(codes[:32], labels[:32]),
                               sizes=sizes, epochs=1 if report.smoke else 2, device=DEVICE,
                               progress=False, flanks="none")  # fmt: skip
            return epoch(len(codes), result.history[-1]["seconds"])

        def theirs(name=name, codes=codes, labels=labels, sizes=sizes) -> dict:
            few = len(codes) // 8  # a row of theirs takes the more part of a millisecond
            with torch.inference_mode(False), torch.enable_grad():
                net = build(name, length=codes.shape[1], **sizes)
                more = net.input_spec.channels - 4  # of strand and flags, which the strings lack
                net = nn.Sequential(nn.ConstantPad2d((0, 0, 0, more), 0.0), net).to(DEVICE)
                begin = time.perf_counter()
                plain_loop.epoch(net, decode(codes[:few]), labels[:few], 256)
            return epoch(few, time.perf_counter() - begin)

        report.add("training", f"an epoch of {name}", ours)
        report.add("training", f"an epoch of {name}: DataLoader over strings", theirs)


def epoch(rows: int, seconds: float) -> dict:
    """Return a row's values."""
    return {"n": rows, "seconds": seconds, "sequences_per_second": rows / seconds}
