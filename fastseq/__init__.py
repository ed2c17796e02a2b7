"""The fast path for regulatory-sequence models.

Every score is the same journey: reference codes and edits as data -> blocks -> a lowered model ->
a reducer -> a table. The rooms, from the ground up:

    csrc/ -> fastseq._native    loops in plain C
    fastseq.sequence            what a sequence is: codes, k-mers, edits, motifs
    fastseq.models              what a model is: networks, specs, checkpoints
    fastseq.lower               a model becomes a plan      kernels/ -> fastseq_kernels   GPU ops
    fastseq.run                 blocks in, plan, reduced blocks out
    fastseq.score               predict, mutate, attribute, score variants
    fastseq.reliability         can the explanations be trusted
    fastseq.learn, .io, .show, .cli

Public names load when they are first touched (PEP 562): ``import fastseq`` imports no torch.
"""

from typing import TYPE_CHECKING

from fastseq._lazy import attach

__version__ = "0.1.0"

if TYPE_CHECKING:  # hidden below from checkers, or __getattr__ would accept any name
    from fastseq import models as models
    from fastseq import show as show
    from fastseq.info import info as info
    from fastseq.learn.evaluate import dream_score as dream_score
    from fastseq.learn.train import train as train
    from fastseq.lower.ensemble import lower as lower
    from fastseq.reliability.kld import kmer_kld as kmer_kld
    from fastseq.reliability.length_weights import fit_length_weights as fit_length_weights
    from fastseq.reliability.snr import signal_to_noise as signal_to_noise
    from fastseq.score.ablate import ablate as ablate
    from fastseq.score.attribute import attribute as attribute
    from fastseq.score.epistasis import epistasis as epistasis
    from fastseq.score.ism import saturation_mutagenesis as saturation_mutagenesis
    from fastseq.score.marginalize import marginalize as marginalize
    from fastseq.score.motif_changes import motif_changes as motif_changes
    from fastseq.score.perturb import perturb as perturb
    from fastseq.score.predict import predict as predict
    from fastseq.score.seqlets import motif_hits as motif_hits
    from fastseq.score.seqlets import seqlets as seqlets
    from fastseq.score.variants import score_variants as score_variants
    from fastseq.sequence.edits import Edits as Edits
    from fastseq.sequence.encode import decode as decode
    from fastseq.sequence.encode import encode as encode
    from fastseq.sequence.encode import one_hot as one_hot
    from fastseq.sequence.encode import reverse_complement as reverse_complement
    from fastseq.sequence.features import gc_content as gc_content
    from fastseq.sequence.features import melting_temperature as melting_temperature
    from fastseq.sequence.kmers import count_kmers as count_kmers
    from fastseq.sequence.kmers import kmer_names as kmer_names
    from fastseq.sequence.pack import pack as pack
    from fastseq.sequence.shuffle import shuffle as shuffle
    from fastseq.sequence.simulate import simulate_motif_task as simulate_motif_task
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "models": ["models"],
            "show": ["show"],
            "lower": ["lower"],
            "info": ["info"],
            "learn.evaluate": ["dream_score"],
            "learn.train": ["train"],
            "reliability.kld": ["kmer_kld"],
            "reliability.length_weights": ["fit_length_weights"],
            "reliability.snr": ["signal_to_noise"],
            "score.ablate": ["ablate"],
            "score.attribute": ["attribute"],
            "score.epistasis": ["epistasis"],
            "score.ism": ["saturation_mutagenesis"],
            "score.marginalize": ["marginalize"],
            "score.motif_changes": ["motif_changes"],
            "score.perturb": ["perturb"],
            "score.predict": ["predict"],
            "score.seqlets": ["motif_hits", "seqlets"],
            "score.variants": ["score_variants"],
            "sequence.edits": ["Edits"],
            "sequence.encode": ["decode", "encode", "one_hot", "reverse_complement"],
            "sequence.features": ["gc_content", "melting_temperature"],
            "sequence.kmers": ["count_kmers", "kmer_names"],
            "sequence.pack": ["pack"],
            "sequence.shuffle": ["shuffle"],
            "sequence.simulate": ["simulate_motif_task"],
        },
    )
