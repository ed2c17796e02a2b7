"""The winners' data path as published, in our own words: one item at a time.

A table's row becomes a list of numbers, a tensor, a one-hot matrix of five classes of which the
last is dropped, two planes of flags, and, by scipy, the mass of a Normal(label + .5, .5) in each
of 18 bins; a DataLoader stacks the items.
"""

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

NUMBERS = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}
EDGES = np.array([-np.inf, *range(1, 18), np.inf])


class Promoters(Dataset):
    """Rows of a table with seq, bin and rev; every row is there on both strands."""

    def __init__(self, table: pd.DataFrame):
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor, float]:
        seq, label = self.table.seq.values[row], self.table.bin.values[row]
        numbers = torch.tensor([NUMBERS[letter] for letter in seq])
        hot = F.one_hot(numbers, 5)[:, :4].T.float()
        reverse = torch.full((1, len(seq)), float(self.table.rev.values[row]))
        single = torch.full((1, len(seq)), float(label % 1 == 0))
        masses = np.diff(norm(loc=label + 0.5, scale=0.5).cdf(EDGES))
        return torch.concat([hot, reverse, single]), torch.tensor(masses.astype(np.float32)), label


def table(seqs: list[str], labels: np.ndarray) -> pd.DataFrame:
    """Return the rows on random strands, as the doubled table of the published loop has them."""
    turned = np.random.default_rng(0).random(len(seqs)) < 0.5
    pairs = str.maketrans("ACGT", "TGCA")
    both = [seq.translate(pairs)[::-1] if t else seq for seq, t in zip(seqs, turned)]
    return pd.DataFrame({"seq": both, "bin": labels, "rev": turned.astype(int)})


def batches(rows: pd.DataFrame, batch_size: int) -> None:
    """Draw one epoch of batches and do nothing with them."""
    for _ in DataLoader(Promoters(rows), batch_size, shuffle=True):
        pass


def epoch(net: nn.Module, rows: pd.DataFrame, batch_size: int) -> None:
    """Train one epoch: KL divergence of the soft bins, AdamW."""
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3, weight_decay=0.01)
    net.train()
    for x, masses, _ in DataLoader(Promoters(rows), batch_size, shuffle=True):
        loss = F.kl_div(net(x).log_softmax(1), masses, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
