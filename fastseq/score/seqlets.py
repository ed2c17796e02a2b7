"""Spans that attributions point at, and the motifs that sequences hold, by kept libraries."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from fastseq._lazy import load
from fastseq.arrays import Text
from fastseq.errors import DTypeError, OptionError
from fastseq.score.explained import Attributions
from fastseq.score.predict import as_rows
from fastseq.sequence.encode import one_hot
from fastseq.sequence.motifs import Motif

if TYPE_CHECKING:
    import pandas as pd


def seqlets(
    attributions: Attributions, *, threshold: float = 0.01, shortest: int = 4, longest: int = 25
) -> "pd.DataFrame":
    """Return the spans of each sequence whose attributions stand out, by tangermeme.

    Parameters
    ----------
    attributions : Attributions
    threshold : float
        Of the recursive seqlet algorithm's p-values, which rank spans and are no error rates.
    shortest, longest : int
        Bases of a span.

    Returns
    -------
    DataFrame
        row, start, end (0-based, half-open), attribution (summed over the span), p_value, sequence;
        spans of positive and of negative attribution, by row and start.

    Raises
    ------
    DTypeError
        It is another result.
    MissingExtraError
        tangermeme is not installed.
    OptionError
        No span fits.
    """
    if not isinstance(attributions, Attributions):
        raise DTypeError(
            f"attributions is a {type(attributions).__name__}; expected what fastseq.attribute "
            "returns (method='ism' for mutagenesis)"
        )
    observed = np.ascontiguousarray(attributions.observed)
    if not 1 <= shortest <= longest <= observed.shape[1]:
        raise OptionError(
            f"shortest={shortest}, longest={longest}; expected 1 <= shortest <= longest <= "
            f"{observed.shape[1]}, the length in bp"
        )
    call = load("tangermeme.seqlet").recursive_seqlets
    found = []
    for sign in (1, -1):
        # only spans above zero are called
        spans = call(sign * observed, threshold, shortest, longest)
        found.append(spans.assign(attribution=sign * spans["attribution"]))
    table = load("pandas").concat(found, ignore_index=True)
    table.columns = ["row", "start", "end", "attribution", "p_value"]
    letters = np.frombuffer(b"ACGTN", "S1")[np.minimum(attributions.codes, 4)]
    places = zip(table["row"], table["start"], table["end"])
    table["sequence"] = [letters[row, start:end].tobytes().decode() for row, start, end in places]
    return table.sort_values(["row", "start"], ignore_index=True)


def motif_hits(seqs: Text, motifs: Iterable[Motif], *, threshold: float = 1e-4) -> "pd.DataFrame":
    """Return where motifs occur in sequences on either strand: FIMO, by memelite.

    Parameters
    ----------
    seqs : text, list of text, S / U / object / uint8 array
        All of one length.
    motifs : iterable of Motif
        Such as `fastseq.sequence.motifs.jaspar` or `read_motifs` give.
    threshold : float
        Largest p-value.

    Returns
    -------
    DataFrame
        row, start, end, motif, strand, score, p_value, by row and start.

    Raises
    ------
    MissingExtraError
        memelite is not installed.
    """
    pwms = {motif.id: motif.probabilities() for motif in motifs}
    hits = load("memelite").fimo(pwms, one_hot(as_rows(seqs), dtype="float32"), threshold=threshold)
    table = load("pandas").concat(hits, ignore_index=True)
    names = {"sequence_name": "row", "motif_name": "motif", "p-value": "p_value"}
    table = table.rename(columns=names)
    columns = ["row", "start", "end", "motif", "strand", "score", "p_value"]
    return table[columns].sort_values(["row", "start"], ignore_index=True)
