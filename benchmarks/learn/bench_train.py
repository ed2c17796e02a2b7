"""Training: the data path without a network, and whole epochs beside a plain PyTorch loop."""

import numpy as np
import torch

from benchmarks.rivals import plain_loop, plain_torch
from benchmarks.run import Case, Rival
from fastseq.learn.augment import batches
from fastseq.learn.feed import feed
from fastseq.learn.recipes import recipe
from fastseq.learn.train import train
from fastseq.models.registry import build
from fastseq.models.specs import InputSpec
from fastseq.sequence.encode import decode


def cases(size):
    """Yield the cases at 110 bp, the challenge's length."""
    rows, length = (4096, 110) if size == "full" else (128, 30)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (rows, length), dtype=np.uint8)
    labels = random.normal(size=rows).astype(np.float32)
    seqs = decode(codes)
    words = f"{rows} random rows of {length} bp, one thread"
    everything, plan = np.arange(rows), recipe("default")
    rows_in_memory = feed(codes, InputSpec(length), torch.device("cpu"))

    def data_path(**changes):
        chosen = plan.change(**changes)
        for _ in batches(rows_in_memory, labels[:, None], everything, chosen, random):
            pass

    yield Case(
        "batches, forward strand", lambda: data_path(strands="forward"), rows, "sequences", words,
        goal=10e6,
    )  # fmt: skip
    yield Case(
        "batches, random strands", data_path, rows, "sequences", words,
        [Rival("DataLoader over strings", lambda: plain_loop.batches(seqs, labels, 256), "torch",
               goal=3)],
        goal=10e6,
    )  # fmt: skip
    yield Case(
        "batches, random strands and shifts", lambda: data_path(shift=3), rows, "sequences", words
    )

    validation = codes[:1], labels[:1]
    for precision, goal in (("float32", 1.3), ("bfloat16", None)):
        torch.manual_seed(0)
        ours = build("tum_resnet", length=length, activation="none")
        theirs = plain_torch.ResNet()

        def epoch(ours=ours, precision=precision):
            train(
                ours, (codes, labels), validation=validation, epochs=1, precision=precision,
                progress=False,
            )  # fmt: skip

        yield Case(
            f"an epoch of tum_resnet, {precision}", epoch, rows, "sequences", words,
            [Rival("nn.Conv1d and DataLoader, float32",
                   lambda theirs=theirs: plain_loop.epoch(theirs, seqs, labels, 256),
                   "torch", goal=goal)],
            note="random strands, batches of 256, AdamW",
        )  # fmt: skip
