"""FASTA text to codes and windows out of a genome of codes."""
from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "fasta.h" nogil:
    ctypedef struct fasta_state:
        int at_line_start
        int64_t written
        int64_t ambiguous
        int64_t bad
        int full
    int64_t fasta_read(
        const uint8_t *text, int64_t size, uint8_t *codes, fasta_state *state,
        int64_t *positions, uint8_t *members, int64_t room) noexcept
    void fasta_window(
        const uint8_t *contig, int64_t size, int64_t start, int64_t length,
        uint8_t *out) noexcept
    uint8_t fasta_mark(
        const uint8_t *contig, int64_t size, int64_t start, int64_t length) noexcept


def read_lines(
    const uint8_t[::1] text not None,
    Py_ssize_t start,
    uint8_t[::1] codes not None,
    Py_ssize_t written,
    bint at_line_start,
    int64_t[::1] positions not None,
    uint8_t[::1] members not None,
    Py_ssize_t ambiguous,
):
    """Write the codes of text[start:] to codes[written:], up to a header line.

    Returns bytes consumed, codes written, ambiguous letters listed, whether the next
    byte begins a line, the offset of a letter outside IUPAC (-1: none), if the list
    is full.
    """
    cdef fasta_state state
    cdef int64_t size = text.shape[0] - start, used
    if codes.shape[0] < written + size or positions.shape[0] != members.shape[0]:
        raise ValueError("codes hold fewer places than the text has bytes")
    if size == 0:
        return 0, written, ambiguous, at_line_start, -1, False
    state.at_line_start = at_line_start
    state.written = written
    state.ambiguous = ambiguous
    with nogil:
        used = fasta_read(
            &text[start], size, &codes[0], &state, &positions[0], &members[0],
            positions.shape[0])
    return (used, state.written, state.ambiguous, bool(state.at_line_start), state.bad,
            bool(state.full))


def windows(
    const uint8_t[::1] genome not None,
    const int64_t[::1] offsets not None,
    const int32_t[::1] contigs not None,
    const int64_t[::1] starts not None,
    uint8_t[:, ::1] out not None,
):
    """Fill row r of out from starts[r] of contigs[r], 4 beyond the contig's ends."""
    cdef Py_ssize_t rows = starts.shape[0], row
    cdef int64_t length = out.shape[1]
    cdef int32_t contig
    if contigs.shape[0] != rows or out.shape[0] != rows:
        raise ValueError("contigs, starts and out differ in rows")
    if rows == 0 or length == 0 or genome.shape[0] == 0:
        return
    with nogil:
        for row in range(rows):
            contig = contigs[row]
            fasta_window(
                &genome[0] + offsets[contig], offsets[contig + 1] - offsets[contig],
                starts[row], length, &out[row, 0])


def marks(
    const uint8_t[::1] genome not None,
    const int64_t[::1] offsets not None,
    const int32_t[::1] contigs not None,
    const int64_t[::1] starts not None,
    const int64_t[::1] lengths not None,
    uint8_t[::1] out not None,
):
    """Write 1 where a window leaves its contig, plus 2 where it holds unknown bases."""
    cdef Py_ssize_t rows = starts.shape[0], row
    cdef int32_t contig
    if not (contigs.shape[0] == lengths.shape[0] == out.shape[0] == rows):
        raise ValueError("contigs, starts, lengths and out differ in rows")
    if rows == 0 or genome.shape[0] == 0:
        return
    with nogil:
        for row in range(rows):
            contig = contigs[row]
            out[row] = fasta_mark(
                &genome[0] + offsets[contig], offsets[contig + 1] - offsets[contig],
                starts[row], lengths[row])
