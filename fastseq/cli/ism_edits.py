"""Edits at a prompt: a word for every sequence, or a table of one's own."""

from collections.abc import Callable
from typing import Any

import fastseq
from fastseq._lazy import load
from fastseq.cli.shared.files import TABLES
from fastseq.cli.shared.given import Given
from fastseq.cli.shared.verb import done, quiet
from fastseq.errors import OptionError, TableError
from fastseq.io.map_shards import are_shards
from fastseq.io.tables import read_table, write_table
from fastseq.sequence.edits import Edits

COLUMNS = ("name", "pos", "ref", "alt")


def write_edited(
    output: str, given: Given, models: Any, edits: str, *, resume: bool, shard: int, **options: Any
) -> None:
    """Write the effects of edits: one table, or a folder of Parquet parts that can be gone on with.

    Raises
    ------
    OptionError
        The output is for maps, or ``--resume`` with one file.
    """
    if output.endswith((".npz", ".zarr")):
        raise OptionError(f"--edits {edits} makes a table or a folder/ of parts; found -o {output}")
    run = _runner(given, models, edits, options)
    if are_shards(output):
        manifest = run(output=output, names=given.names, resume=resume, shard=shard)
        rows = manifest["rows"]
    else:
        if resume:
            raise OptionError(f"--resume goes on with a folder; found {output} (-o edits/)")
        table = load("pandas").DataFrame(run().columns(given.names))
        write_table(table, output)
        rows = len(table)
    done(output=output, edits=edits, sequences=len(given.codes), rows=rows)


def _runner(given: Given, models: Any, edits: str, options: dict[str, Any]) -> Callable[..., Any]:
    """Return what makes the edits, of an output's options."""
    options = {**options, "progress": not quiet()}
    kind, _, distance = edits.partition(":")
    if kind == "pairs":
        if distance and not (distance.isascii() and distance.isdigit()):
            raise OptionError(f"--edits {edits}: {distance!r} is no number of bp")
        most = int(distance) if distance else None
        return lambda **out: fastseq.epistasis(
            models, given.codes, max_distance=most, **options, **out
        )
    wanted = read_edits(edits, given) if edits.endswith(TABLES) else edits
    return lambda **out: fastseq.perturb(models, given.codes, wanted, **options, **out)


def read_edits(path: str, given: Given) -> Edits:
    """Return the edits of a table with columns name, pos (0-based), ref and alt, by sequence.

    ``ref`` is what is removed and ``alt`` what comes in its place; either may be empty.

    Raises
    ------
    MissingFileError, UnreadableFileError, FormatError, TableError
        As `fastseq.io.tables.read_table`; a row is no edit of these sequences.
    OptionError
        Two sequences bear one name.
    """
    table = read_table(path, COLUMNS, text=("name", "ref", "alt"))
    rows = {name: row for row, name in enumerate(given.names)}
    if len(rows) < len(given.names):
        raise OptionError(f"--edits {path} needs sequences whose names all differ")
    if table["pos"].dtype.kind not in "iu":
        raise TableError(f"{path}: pos holds {table['pos'].dtype}; expected whole numbers")
    texts, found = fastseq.decode(given.codes), []
    for line, (name, pos, ref, alt) in enumerate(table.itertuples(index=False), 1):
        where = f"{path}: edit {line}"
        if name not in rows:
            raise TableError(f"{where} is of {name!r}, none of the {len(rows):,} sequences")
        row, ref = rows[name], ref.upper()
        there = texts[row][pos : pos + len(ref)] if 0 <= pos <= len(texts[row]) else None
        if there != ref:
            stands = f"there is {there!r}" if there else f"it has {len(texts[row])} bp"
            raise TableError(f"{where} takes {ref!r} from {name} at pos {pos} (0-based); {stands}")
        if not {*alt.upper()} <= {*"ACGTN"}:
            raise TableError(f"{where} puts in {alt!r}; expected A, C, G, T and N, or nothing")
        found.append((row, pos, len(ref), alt))
    found.sort(key=lambda edit: edit[0])
    return Edits.of_words(*zip(*found)) if found else Edits.of_words([], [], [], [])
