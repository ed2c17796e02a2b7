"""What effects look like by chance: the same alleles in shuffled surroundings."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastseq.errors import OptionError
from fastseq.io.variants import VariantInput
from fastseq.score.scorer import Scorer
from fastseq.sequence.alleles import OK
from fastseq.sequence.shuffle import shuffle


def shuffled_effects(
    run: Scorer, variants: VariantInput, count: int, *, k: int = 2, seed: int = 0
) -> NDArray[np.float32]:
    """Return effects of alleles of the input in windows shuffled so that every k-let is kept.

    Parameters
    ----------
    run : Scorer
    variants : VariantInput
        Alleles are taken evenly from the first block that holds any that can be scored, so that
        SNVs and indels come in its proportions; with fewer than ``count``, each several times.
    count : int
    k : int
        The k-lets that stay; 2 keeps dinucleotides.
    seed : int

    Returns
    -------
    float32, (count, tasks)

    Raises
    ------
    OptionError
        ``count`` is below 1, or no allele can be scored.
    """
    if count < 1:
        raise OptionError(f"{count} background variants; expected at least 1")
    for block, places in variants.blocks(run.genome):
        found = run.resolve(block, places)
        ok = np.flatnonzero(found.status == OK)
        if len(ok):
            break
    else:
        raise OptionError("no allele can be scored, so there is no background to draw from")
    chosen = ok[np.linspace(0, len(ok) - 1, min(count, len(ok))).astype(np.int64)]
    rows = np.sort(np.resize(chosen, count))
    codes, edits, _ = run.reference_rows(block, found, rows)
    own = codes[edits.row]
    mixed = np.asarray(shuffle(own, k, seed=seed))[:, 0]
    # the allele itself stays, or the edit would mean another one
    position = np.arange(own.shape[1])
    behind = (edits.start + edits.removed)[:, None]
    kept = (position >= edits.start[:, None]) & (position < behind)
    mixed[kept] = own[kept]
    return run.effects_of(mixed, replace(edits, row=np.arange(count)))
