"""Pictures and reports; they take results and look at nothing above them.

Every picture takes arrays or tables and returns a matplotlib Figure that belongs to the caller;
nothing is shown, and pyplot with its global state is never imported. `save` writes one.
"""

from fastseq.show.alleles import allele_logos
from fastseq.show.attributions import ism_heatmap, logos
from fastseq.show.canvas import save, to_svg
from fastseq.show.comparison import correlation_matrix, rank_distributions, subset_heatmap
from fastseq.show.diagram import network_diagram
from fastseq.show.kmers import kmer_frequencies, kmer_spectrum
from fastseq.show.predictions import (
    embedding,
    expression_densities,
    predicted_against_measured,
    score_densities,
    training_curve,
)
from fastseq.show.reliability import kld_against_snr, kld_bars, kld_lines, length_weights
from fastseq.show.variants import variant_effects, variant_lollipops

__all__ = [
    "allele_logos",
    "correlation_matrix",
    "embedding",
    "expression_densities",
    "ism_heatmap",
    "kld_against_snr",
    "kld_bars",
    "kld_lines",
    "kmer_frequencies",
    "kmer_spectrum",
    "length_weights",
    "logos",
    "network_diagram",
    "predicted_against_measured",
    "rank_distributions",
    "save",
    "score_densities",
    "subset_heatmap",
    "to_svg",
    "training_curve",
    "variant_effects",
    "variant_lollipops",
]
