"""Contig names of variants brought together with those of a genome, only as far as asked."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastseq.errors import ContigError, FastseqWarning, OptionError
from fastseq.io.fasta import Genome, listed
from fastseq.io.files import chunks
from fastseq.sequence.alleles import Variants

ContigMap: TypeAlias = "Mapping[str, str] | str | PathLike[str] | None"

ROMAN = ((50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))
# blocks held back while no contig is known: a file may begin with contigs that the FASTA lacks
PATIENCE = 16


def contig_places(
    contigs: Sequence[str], genome: Genome, mapping: ContigMap = None
) -> NDArray[np.int32]:
    """Return the genome's contig for each name, -1 where it has none.

    Parameters
    ----------
    contigs : sequence of str
    genome : Genome
    mapping : mapping, path, "chr", "roman" or None
        None: equal names only. A mapping, or a file of two columns, from the names of the
        variants to those of the FASTA. "chr" drops or adds the prefix; "roman" also reads
        chromosome7, chr7 and 7 as chrVII.

    Raises
    ------
    OptionError
        A file of names without two columns.
    """
    place = {name: at for at, name in enumerate(genome.names)}
    if mapping is None:
        return np.array([place.get(name, -1) for name in contigs], np.int32)
    if mapping in ("chr", "roman"):
        core: Callable[[str], str] = _roman if mapping == "roman" else _bare
        cores = {core(name): at for name, at in reversed(place.items())} | place
        return np.array([cores.get(name, cores.get(core(name), -1)) for name in contigs], np.int32)
    names = _names(mapping)
    return np.array([place.get(names.get(name, name), -1) for name in contigs], np.int32)


def _bare(name: str) -> str:
    core = re.sub(r"^(chromosome|chrom|chr)_?", "", name, flags=re.IGNORECASE)
    return "#M" if core.upper() in ("M", "MT", "MITO") else f"#{core.upper()}"


def _roman(name: str) -> str:
    core = _bare(name)
    if not core[1:].isdigit():
        return core
    number, text = int(core[1:]), ""
    for value, letters in (
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ):
        text += letters * (number // value)
        number %= value
    return f"#{text}"


def _names(mapping: Mapping[str, str] | str | PathLike[str]) -> Mapping[str, str]:
    """Return the pairs of names of a mapping or of a file of two columns."""
    if isinstance(mapping, Mapping):
        return mapping
    path = mapping
    from_file = b"".join(chunks(path)).decode("utf-8", "replace").splitlines()
    names = {}
    for number, line in enumerate(from_file, 1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != 2:
            raise OptionError(
                f"{path}: line {number} is {line[:60]!r}; expected two columns, the variants' "
                "contig name and the FASTA's"
            )
        names[fields[0]] = fields[1]
    return names


def with_places(
    blocks: Iterable[Variants], genome: Genome, mapping: ContigMap = None
) -> Iterator[tuple[Variants, NDArray[np.int32]]]:
    """Yield each block with the genome's contig of each of its names.

    Blocks are held back until one names a contig that the genome has.

    Raises
    ------
    ContigError
        The variants and the genome have no name in common; the message shows both lists.

    Warns
    -----
    FastseqWarning
        Once, where some contigs are not in the genome; their records are marked.
    """
    held: list[Variants] = []
    warned = seen = False
    if mapping not in (None, "chr", "roman"):
        mapping = _names(mapping)
    for block in blocks:
        places = contig_places(block.contigs, genome, mapping)
        if not seen and len(block) and (places < 0).all():
            held.append(block)
            if len(held) < PATIENCE:
                continue
        if held:
            if (places < 0).all():
                break
            for early in held:
                yield early, contig_places(early.contigs, genome, mapping)
            held = []
        seen = seen or bool(len(block))
        if not warned and (places < 0).any():
            warned = True
            unknown = [name for name, place in zip(block.contigs, places) if place < 0]
            warnings.warn(
                f"{genome.source} has no contig {listed(unknown, 4)}: such records get the "
                "status unknown_contig",
                FastseqWarning,
                stacklevel=2,
            )
        yield block, places
    if held:
        raise ContigError(
            f"the variants name contigs {listed(held[-1].contigs, 4)}; {genome.source} has "
            f"{listed(genome.names, 4)}: no name in common (--contig-map FILE with two columns, "
            "the variants' name and the FASTA's, or --contig-map chr or roman)"
        )
