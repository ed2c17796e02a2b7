"""Edited sequences as strings, one at a time, and what a module answers to them."""

import torch


def edited(text, start, removed, word, *, margin=0):
    """The window of an edited text: bases behind the edit move, N comes in from the right."""
    mutant = text[:start] + word + text[start + removed :] + "N" * len(text)
    return mutant[margin : len(text) - margin]


def answers(module, texts):
    """The module's answers in double precision, (n, tasks)."""
    rows = [[[float(base == letter) for base in text] for letter in "ACGT"] for text in texts]
    with torch.no_grad():
        y = module.double()(torch.tensor(rows, dtype=torch.float64)).numpy()
    module.float()
    return y


def table(edits):
    """Edits as tuples of row, start, removed and the word inserted."""
    words = ["".join("ACGTN"[code] for code in edits.inserted[a:b])
             for a, b in zip(edits.offsets, edits.offsets[1:])]  # fmt: skip
    return list(zip(edits.row.tolist(), edits.start.tolist(), edits.removed.tolist(), words))


def effects(module, texts, edits, *, margin=0):
    """Answer of each edited text minus that of its text, (e, tasks)."""
    rows = table(edits)
    mutants = [edited(texts[row], *edit, margin=margin) for row, *edit in rows]
    ref = answers(module, [text[margin : len(text) - margin] for text in texts])
    return answers(module, mutants) - ref[[row for row, *_ in rows]]
