"""A training as most people write it: a DataLoader over strings, one-hot by the item, AdamW."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

LETTERS = dict(zip("ACGT", torch.eye(4)))
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Promoters(Dataset):
    """Strings and labels; each item is turned over by chance and encoded when it is asked for."""

    def __init__(self, seqs: list[str], labels):
        self.seqs, self.labels = seqs, torch.as_tensor(labels, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self.seqs)

    def __getitem__(self, row: int):
        seq = self.seqs[row]
        if torch.rand(()) < 0.5:
            seq = seq.translate(COMPLEMENT)[::-1]
        return torch.stack([LETTERS[letter] for letter in seq], dim=1), self.labels[row]


def epoch(net: nn.Module, seqs: list[str], labels, batch_size: int) -> float:
    """Return the mean loss of one epoch of training."""
    loader = DataLoader(Promoters(seqs, labels), batch_size, shuffle=True)
    optimizer, total = torch.optim.AdamW(net.parameters(), 1e-3), 0.0
    device = next(net.parameters()).device
    net.train()
    for x, y in loader:
        loss = F.mse_loss(net(x.to(device))[:, 0], y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(y)
    return total / len(seqs)


def batches(seqs: list[str], labels, batch_size: int) -> None:
    """Draw one epoch of encoded batches and do nothing with them."""
    for _ in DataLoader(Promoters(seqs, labels), batch_size, shuffle=True):
        pass
