"""What edits do to a graph's answer, by running every mutant in full in double precision."""

import copy

import numpy as np
import torch


def answers(graph, table, codes, dtype=torch.float64):
    """The graph's answer on every sequence."""
    model = copy.deepcopy(graph).to(dtype)
    for node in model.graph.nodes:  # the first states of a recurrence
        if node.kwargs.get("dtype") is torch.float32:
            node.kwargs = {**node.kwargs, "dtype": dtype}
    model.recompile()
    with torch.no_grad():
        x = table.to(dtype)[torch.from_numpy(codes).long()].mT
        return model(x).double().numpy()


def effects(graph, table, codes, row, start, inserted, offsets, dtype=torch.float64):
    """Answers of the sequences, and answer of each mutant minus that of its sequence."""
    mutants = codes[row]
    for e, mutant in enumerate(mutants):
        word = inserted[offsets[e] : offsets[e + 1]]
        mutant[start[e] : start[e] + len(word)] = word
    ref = answers(graph, table, codes, dtype)
    return ref, answers(graph, table, mutants, dtype) - ref[row]


def substitutions(codes, alphabet=4):
    """Every other base at every position of every sequence: row, start, inserted, offsets."""
    row, start, inserted = [], [], []
    for r, sequence in enumerate(codes):
        for p, old in enumerate(sequence):
            for new in range(alphabet):
                if new != old:
                    row.append(r)
                    start.append(p)
                    inserted.append(new)
    offsets = np.arange(len(row) + 1)
    return np.array(row), np.array(start), np.array(inserted, np.uint8), offsets
