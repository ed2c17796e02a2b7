"""Token ids for language models, beside the library that publishes them."""

import numpy as np

from benchmarks.rivals import optional
from benchmarks.run import Case, Rival
from fastseq.sequence.tokens import kmer_vocabulary, protein_vocabulary, tokenize


def cases(size):
    """Yield the cases: one base a token and 6-mers, 20,000 x 271 bp at full size."""
    rows = 20_000 if size == "full" else 20
    letters = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", np.uint8), (rows, 271))
    seqs = [row.tobytes().decode() for row in letters]
    # the library is slow: it takes one row in a hundred, and its figure is for so many
    few = seqs[:: max(rows // 200, 1)]
    rival = optional("esm_tokenizer")
    for words, vocabulary in (
        ("one base a token", protein_vocabulary()),
        ("6-mers", kmer_vocabulary(6)),
    ):
        library = rival and rival.tokenizer(vocabulary.tokens)

        def same(library=library, vocabulary=vocabulary):
            if library:
                wanted = np.array(library(few)["input_ids"])
                np.testing.assert_array_equal(tokenize(few, vocabulary), wanted)

        yield Case(
            f"tokenize, {words}",
            lambda vocabulary=vocabulary: tokenize(seqs, vocabulary, threads=1),
            rows, "sequences", f"{rows} str of 271 bp, one thread", check=same, goal=2e6,
        )  # fmt: skip
        if library:
            yield Case(
                f"tokenize beside the library, {words}",
                lambda vocabulary=vocabulary: tokenize(few, vocabulary, threads=1),
                len(few), "sequences", f"{len(few)} str of 271 bp, one thread",
                [Rival("EsmTokenizer", lambda library=library: library(few), "transformers", 250)],
            )  # fmt: skip
