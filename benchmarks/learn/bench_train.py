"""Training: the data path without a network, and whole epochs beside plain and published loops."""

import numpy as np
import torch

from benchmarks.rivals import plain_loop, plain_torch, published_loop
from benchmarks.run import Case, Rival
from fastseq.learn.augment import batches
from fastseq.learn.feed import HostFeed
from fastseq.learn.losses import bin_masses, choose
from fastseq.learn.recipes import recipe
from fastseq.learn.train import train
from fastseq.models.registry import build
from fastseq.models.specs import InputSpec
from fastseq.sequence.encode import decode, encode


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
    rows_in_memory = HostFeed(codes, InputSpec(length))

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

    yield from _beside_steps(size, codes, labels)
    yield from _beside_the_published(size, seqs, labels)

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


def _beside_steps(size, codes, labels):
    """Yield what a batch costs beside the step it feeds; 19 times less is 95 % in the network."""
    small = {"stem": 16, "widths": (16, 8)} if size == "tiny" else {}
    nets = [("legnet", small, (256,)), ("tum_resnet", {"activation": "none"}, (256, 1024))]
    for name, sizes, counts in nets:
        for count in counts:
            torch.manual_seed(0)
            net = build(name, length=codes.shape[1], **sizes).train()
            count = min(count, len(codes))
            rows, plan = np.arange(count), recipe("default", batch_size=count)
            y = np.abs(labels[:count, None])
            kept = HostFeed(codes[:count], net.input_spec)
            optimizer = torch.optim.AdamW(net.parameters(), 1e-4)
            loss_of = choose("bins_kl" if name == "legnet" else "mse", net.target_spec)
            x, wanted = kept.batch(rows, None, (count // 2,)).clone(), torch.from_numpy(y)

            def draw(kept=kept, y=y, rows=rows, plan=plan):
                for _ in batches(kept, y, rows, plan, np.random.default_rng(0)):
                    pass

            def step(net=net, x=x, wanted=wanted, optimizer=optimizer, loss_of=loss_of):
                optimizer.zero_grad()
                loss_of(net(x), wanted, net.target_spec).mean().backward()
                optimizer.step()

            yield Case(
                f"a batch of {count} beside the step it feeds, {name}", draw, count, "sequences",
                f"{count} random rows of {codes.shape[1]} bp, one thread",
                [Rival("the step alone, float32", step, "torch", goal=19)],
                note="a ratio of 19 is 95 % of the time in the network",
                rounds=2,
            )  # fmt: skip


def _beside_the_published(size, seqs, labels):
    """Yield the winner's data path and a whole step, beside the loop as it was published."""
    name, small = "legnet_prixfixe", {}
    if size == "tiny":
        name, small = "legnet", {"stem": 16, "widths": (16, 8)}
    count = 1024 if size == "full" else 64
    seqs, labels = seqs[:count], 11 + labels[:count]
    torch.manual_seed(0)
    ours = build(name, length=len(seqs[0]), **small)
    theirs = build(name, length=len(seqs[0]), **small)
    rows, everything = published_loop.table(seqs, labels), np.arange(count)
    kept, plan = HostFeed(encode(seqs), ours.input_spec), recipe("autosome", batch_size=256)
    y, singletons = labels[:, None], (labels % 1 == 0).astype(np.float32)

    def drawn():
        rng = np.random.default_rng(0)
        for _, wanted, _ in batches(kept, y, everything, plan, rng, singletons=singletons):
            bin_masses(wanted, ours.target_spec)

    words = f"{count} random rows of {len(seqs[0])} bp, strand and singleton channels, one thread"
    yield Case(
        "batches and soft bins of the winner", drawn, count, "sequences", words,
        [Rival("the published loop's items", lambda: published_loop.batches(rows, 256), "torch",
               goal=3)],
        rounds=3,
    )  # fmt: skip

    few = min(count, 256)

    def epoch():
        train(
            ours, (seqs[:few], labels[:few]), validation=(seqs[:1], labels[:1]), epochs=1,
            recipe="autosome", batch_size=256, affine="none", progress=False,
        )  # fmt: skip

    yield Case(
        "an epoch of legnet_prixfixe, float32", epoch, few, "sequences",
        words.replace(str(count), str(few)),
        [Rival("the published loop, the same network",
               lambda: published_loop.epoch(theirs, rows[:few], 256), "torch")],
        rounds=1,
    )  # fmt: skip
