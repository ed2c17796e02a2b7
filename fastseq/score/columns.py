"""The columns that say which allele a row is and what became of it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.sequence.alleles import FLAGS, OK, STATUS, Alleles, Variants, gather

if TYPE_CHECKING:
    import pyarrow as pa


def variant_columns(block: Variants, found: Alleles) -> "dict[str, pa.Array]":
    """Return the columns that say which allele a row is and what became of it."""
    pa = load("pyarrow")
    ok = found.status == OK
    spans = found.text_offsets[:-1].reshape(-1, 2), found.text_offsets[1:].reshape(-1, 2)
    norm_ref, norm_alt = (
        _strings(*gather(found.texts, np.stack([spans[0][:, at], spans[1][:, at]], 1)), ok)
        for at in range(2)
    )
    flags = [
        ",".join(name for bit, name in enumerate(FLAGS) if value >> bit & 1)
        for value in range(1 << len(FLAGS))
    ]
    return {
        "chrom": pa.array(block.contigs, pa.string()).take(pa.array(block.chrom)),
        "pos": pa.array(block.pos),
        "id": _strings(*gather(block.text, block.id)),
        "ref": _strings(*gather(block.text, block.ref)),
        "alt": _strings(*gather(block.text, block.alt)),
        "norm_pos": pa.array(found.anchor + 1, mask=~ok),
        "norm_ref": norm_ref,
        "norm_alt": norm_alt,
        "status": pa.array(STATUS).take(pa.array(found.status)),
        "flags": pa.array(flags).take(pa.array(found.flags)),
    }


def _strings(
    data: NDArray[np.uint8], offsets: NDArray[np.int32], valid: NDArray[np.bool_] | None = None
) -> "pa.Array":
    """Return a string column of texts that lie one after the other; invalid UTF-8 becomes '?'."""
    pa = load("pyarrow")
    if (data > 127).any():
        try:
            data.tobytes().decode()
        except UnicodeDecodeError:
            data = np.where(data > 127, np.uint8(ord("?")), data)
    mask = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), mask
    )
