"""Alleles against a genome: outcome, normal form and edit; texts out of slices."""
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

import numpy as np

cdef extern from "alleles.h" nogil:
    ctypedef struct allele_genome:
        const uint8_t *contig
        int64_t offset
        int64_t size
        const int64_t *ambiguous
        const uint8_t *members
        int64_t ambiguities
    ctypedef struct allele_result:
        uint8_t status
        uint8_t flags
        uint8_t patched
        int64_t anchor
        int64_t start
        int64_t removed
        int64_t inserted
        int64_t ref_length
        int64_t alt_length
    void allele_resolve(
        const allele_genome *g, int known, int64_t pos, const uint8_t *ref, int64_t r,
        const uint8_t *alt, int64_t a, int normalize, int mismatch, uint8_t *inserted,
        uint8_t *normal, allele_result *out) noexcept


def resolve(
    const uint8_t[::1] text not None,
    const int64_t[:, ::1] ref not None,
    const int64_t[:, ::1] alt not None,
    const int32_t[::1] contig not None,
    const int64_t[::1] pos not None,
    const uint8_t[::1] genome not None,
    const int64_t[::1] offsets not None,
    const int64_t[::1] ambiguous not None,
    const uint8_t[::1] members not None,
    bint normalize,
    int mismatch,
):
    """Return status, flags, patched (uint8), anchor, start, removed (int64), inserted
    codes and offsets, normalised texts (REF, ALT by turns) and their offsets.
    """
    cdef Py_ssize_t rows = pos.shape[0], row
    cdef int64_t room = 0, word, inserted_at = 0, normal_at = 0
    cdef allele_genome g
    cdef allele_result found
    cdef int known
    if not (ref.shape[0] == alt.shape[0] == contig.shape[0] == rows):
        raise ValueError("ref, alt, contig and pos differ in rows")
    for row in range(rows):
        word = ref[row, 1] - ref[row, 0] + alt[row, 1] - alt[row, 0] + 2
        if word < 2 or ref[row, 1] > text.shape[0] or alt[row, 1] > text.shape[0]:
            raise ValueError("a slice lies outside the text")
        if contig[row] >= offsets.shape[0] - 1:
            raise ValueError("a contig number has no contig")
        room += word
    out = (
        np.empty(rows, np.uint8), np.empty(rows, np.uint8), np.empty(rows, np.uint8),
        np.empty(rows, np.int64), np.empty(rows, np.int64), np.empty(rows, np.int64),
        np.empty(room + 1, np.uint8), np.empty(rows + 1, np.int64),
        np.empty(room + 1, np.uint8), np.empty(2 * rows + 1, np.int64),
    )
    cdef uint8_t[::1] status = out[0], flags = out[1], patched = out[2]
    cdef int64_t[::1] anchor = out[3], start = out[4], removed = out[5]
    cdef uint8_t[::1] inserted = out[6], normal = out[8]
    cdef int64_t[::1] inserted_ends = out[7], normal_ends = out[9]
    g.ambiguities = ambiguous.shape[0]
    g.ambiguous = &ambiguous[0] if g.ambiguities else NULL
    g.members = &members[0] if g.ambiguities else NULL
    inserted_ends[0] = 0
    normal_ends[0] = 0
    with nogil:
        for row in range(rows):
            known = contig[row] >= 0
            if known:
                g.offset = offsets[contig[row]]
                g.size = offsets[contig[row] + 1] - g.offset
                g.contig = &genome[0] + g.offset
            allele_resolve(
                &g, known, pos[row], &text[0] + ref[row, 0], ref[row, 1] - ref[row, 0],
                &text[0] + alt[row, 0], alt[row, 1] - alt[row, 0], normalize, mismatch,
                &inserted[inserted_at], &normal[normal_at], &found)
            status[row] = found.status
            flags[row] = found.flags
            patched[row] = found.patched
            anchor[row] = found.anchor
            start[row] = found.start
            removed[row] = found.removed
            inserted_at += found.inserted
            inserted_ends[row + 1] = inserted_at
            normal_ends[2 * row + 1] = normal_at + found.ref_length
            normal_at += found.ref_length + found.alt_length
            normal_ends[2 * row + 2] = normal_at
    return (*out[:6], out[6][:inserted_at], out[7], out[8][:normal_at], out[9])


def gather(const uint8_t[::1] text not None, const int64_t[:, ::1] spans not None):
    """Return the slices of a text one after the other, and their int32 offsets."""
    cdef Py_ssize_t rows = spans.shape[0], row
    cdef int64_t total = 0, size
    for row in range(rows):
        if not 0 <= spans[row, 0] <= spans[row, 1] <= text.shape[0]:
            raise ValueError("a slice lies outside the text")
        total += spans[row, 1] - spans[row, 0]
    if total >= 2147483647:
        raise ValueError("texts of more than 2 GB in one block")
    flat = np.empty(total, np.uint8)
    ends = np.empty(rows + 1, np.int32)
    cdef uint8_t[::1] out = flat
    cdef int32_t[::1] offsets = ends
    cdef int64_t at = 0, i
    offsets[0] = 0
    with nogil:
        for row in range(rows):
            size = spans[row, 1] - spans[row, 0]
            if size <= 16:
                for i in range(size):
                    out[at + i] = text[spans[row, 0] + i]
            else:
                memcpy(&out[at], &text[spans[row, 0]], size)
            at += size
            offsets[row + 1] = <int32_t>at
    return flat, ends
