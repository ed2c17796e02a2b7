"""What effects are held against: shuffled surroundings, matched variants, active sequences."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastseq.errors import OptionError
from fastseq.io.bed import read_regions
from fastseq.io.variants import Regions, VariantInput
from fastseq.run import views as viewed
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


def matched_effects(run: Scorer, variants: VariantInput) -> NDArray[np.float32]:
    """Return effects of background variants, of all alleles that can be scored.

    Parameters
    ----------
    run : Scorer
    variants : VariantInput
        Chosen to match the scored ones in whatever should not count, such as distance to genes.

    Returns
    -------
    float32, (n, tasks)

    Raises
    ------
    OptionError
        No allele can be scored.
    """
    several = len(run.tasks) > 1
    names = [f"diff_{task}" for task in run.tasks] if several else ["diff"]
    effects = [np.empty((0, len(names)), np.float32)]
    for block, places in variants.blocks(run.genome):
        table = run.score(block, places)
        found = np.stack([table[name].to_numpy() for name in names], 1)
        effects.append(found[~np.isnan(found).any(1)])
    null = np.concatenate(effects)
    if not len(null):
        raise OptionError("no background variant can be scored")
    return null


def active_answers(run: Scorer, regions: Regions) -> NDArray[np.float32]:
    """Return the model's answers in windows around the middles of regions, such as peaks.

    Parameters
    ----------
    run : Scorer
    regions : str, path or list of str

    Returns
    -------
    float32, (n, tasks)

    Raises
    ------
    ContigError
        A region names a contig that the genome lacks.
    OptionError
        There is no region.
    """
    found = [] if regions is None else read_regions(regions)
    if not found:
        raise OptionError("no active region; expected some, such as the peaks of the assay")
    genome, reach = run.genome, run.views.reach
    contigs = np.array([genome.index(region.chrom) for region in found], np.int32)
    ends = np.array([size for size in genome.contigs.values()])[contigs]
    last = [size if region.end is None else region.end for region, size in zip(found, ends)]
    middle = (np.array([region.start for region in found]) + np.array(last)) // 2
    rows = genome.windows(contigs, middle - run.anchor - reach, run.length + 2 * reach)
    answers = viewed.predict(
        run.plans, rows, run.views, left=reach, length=run.length, scale=run.scale
    )
    return getattr(answers, run.reduce)(-1) if run.reduce else answers
