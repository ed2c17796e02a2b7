"""Sequences of a file as one array of codes or one-hot, in bounded memory."""

import io
from contextlib import ExitStack
from typing import IO, Any

import click
import numpy as np

import fastseq
from fastseq.cli.shared.files import OutputName
from fastseq.cli.shared.options import output_option
from fastseq.cli.shared.verb import done, note, verb
from fastseq.errors import FormatError, LengthError
from fastseq.io.fastx import Block, read_blocks
from fastseq.io.files import replacing, write_bytes


@verb("encode")
@click.argument("sequences", metavar="SEQUENCES")
@output_option(None, "The array (.npy), or '-'.", endings=[".npy"])
@click.option("--one-hot", "hot", is_flag=True, help="One-hot (n, 4, length) instead of codes.")
@click.option("--layout", type=click.Choice(["ncl", "nlc"]), default="ncl", show_default=True,
              help="Axes of the one-hot.")  # fmt: skip
@click.option("--dtype", default="uint8", show_default=True, help="Of the one-hot.")
@click.option("--length", type=click.IntRange(1), help="Positions; the first record's otherwise.")
@click.option("--pad", type=click.Choice(["right", "left", "center"]), default="right",
              show_default=True, help="Where shorter records get N, with --length.")  # fmt: skip
@click.option(
    "--truncate", type=click.Choice(["error", "right", "left", "center"]), default="error",
    show_default=True, help="Where longer records are cut, with --length.",
)  # fmt: skip
@click.option("--unknown", type=click.Choice(["mask", "error"]), default="mask",
              show_default=True, help="Letters other than A, C, G, T, U and N.")  # fmt: skip
@click.option("--names", metavar="FILE", type=OutputName(),
              help="Also write the records' names, one a line.")  # fmt: skip
def command(
    sequences: str,
    output: str,
    hot: bool,
    layout: str,
    dtype: str,
    length: int | None,
    pad: str,
    truncate: str,
    unknown: str,
    names: str | None,
) -> None:
    """Encode a FASTA or FASTQ file as codes: A C G T = 0 1 2 3, all else 4.

    \b
    Example:
      fastseq encode promoters.fa.gz -o codes.npy
      fastseq encode reads.fq.gz --one-hot --length 150 --truncate right -o reads.npy
    """
    reshape = {"length": length, "pad": pad, "truncate": truncate}
    rows = Rows(hot, layout, dtype, unknown, reshape)
    with ExitStack() as stack:
        sink: IO[bytes] = io.BytesIO()
        if output != "-":
            sink = stack.enter_context(open(stack.enter_context(replacing(output)), "wb"))
        for block in read_blocks(sequences):
            rows.write(block, sink)
        rows.finish(sink, sequences)
        if isinstance(sink, io.BytesIO):
            write_bytes("-", sink.getvalue())
    if names is not None:
        write_bytes(names, "".join(f"{name}\n" for name in rows.names).encode())
    shape = (len(rows.names), *rows.axes)
    done(
        sequences=sequences,
        output=output,
        records=len(rows.names),
        dtype=str(rows.kind),
        shape=shape,
    )
    note(f"{len(rows.names):,} records: {rows.kind} {shape}")


class Rows:
    """A .npy file written block by block; its first axis is known only at the end."""

    def __init__(
        self, hot: bool, layout: str, dtype: str, unknown: str, reshape: dict[str, Any]
    ) -> None:
        self.hot: dict[str, Any] | None = {"layout": layout, "dtype": dtype} if hot else None
        self.unknown, self.reshape = unknown, reshape
        self.one_length: int | None = None
        self.names: list[str] = []
        self.axes: tuple[int, ...] = ()
        self.kind = np.dtype(np.uint8)

    def write(self, block: Block, sink: IO[bytes]) -> None:
        """Append the records of a block.

        Raises
        ------
        LengthError
            A record differs in length from the first, and no length was asked for.
        """
        options: dict[str, Any] = self.reshape
        if options["length"] is None:
            options = {**options, "length": self._same_length(block)}
        array = fastseq.encode(block.rows, unknown=self.unknown, **options)
        if self.hot is not None:
            array = fastseq.one_hot(array, **self.hot)
        if not self.names:
            self.axes, self.kind = array.shape[1:], array.dtype
            self._header(sink)
        sink.write(array.tobytes())
        self.names += block.names

    def finish(self, sink: IO[bytes], where: str) -> None:
        """Write the number of records into the header."""
        if not self.names:
            raise FormatError(f"{where}: empty; expected FASTA or FASTQ")
        sink.seek(0)
        self._header(sink)

    def _header(self, sink: IO[bytes]) -> None:
        # numpy pads the header so that the first axis can grow, and it is rewritten in place
        header = {
            "descr": np.lib.format.dtype_to_descr(self.kind),
            "fortran_order": False,
            "shape": (len(self.names), *self.axes),
        }
        np.lib.format.write_array_header_1_0(sink, header)

    def _same_length(self, block: Block) -> int:
        lengths = np.diff(block.rows.offsets)
        first = self.one_length = int(self.one_length or lengths[0])
        odd = np.flatnonzero(lengths != first)
        if odd.size:
            raise LengthError(
                f"record {block.names[odd[0]]} is {lengths[odd[0]]} bp long, the first is {first} "
                "bp; pass --length, and --truncate where some are longer"
            )
        return first
