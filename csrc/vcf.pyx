"""Sites of a VCF text: one row per ALT allele, texts as slices."""
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

import numpy as np

cdef extern from "vcf.h" nogil:
    ctypedef struct vcf_record:
        int64_t chrom
        int64_t pos
        int64_t id[2]
        int64_t ref[2]
        int64_t alt[2]
        int64_t alts
    ctypedef struct vcf_progress:
        int64_t consumed
        int64_t lines
        int64_t records
        int64_t runs
        int64_t alleles
        int64_t columns
    void vcf_read(
        const uint8_t *text, int64_t size, int last, vcf_record *records,
        int64_t (*runs)[2], int64_t room, vcf_progress *done) noexcept
    int64_t vcf_cut(const uint8_t *text, int64_t size, int64_t *state, uint8_t *out) noexcept
    int64_t VCF_FRESH


def read_sites(
    const uint8_t[::1] text not None, Py_ssize_t start, bint last, Py_ssize_t room
):
    """Read up to `room` records of text[start:].

    Returns (bytes consumed, lines read, columns of a line too short or 0, record
    and run of each allele, pos, spans of id, ref and alt, spans of the runs' names).
    """
    cdef Py_ssize_t size = text.shape[0] - start, i, row = 0, _piece, at, end
    cdef vcf_progress done
    cdef vcf_record *records = <vcf_record *>malloc(room * sizeof(vcf_record))
    cdef int64_t[2] *names = <int64_t[2] *>malloc(room * 2 * sizeof(int64_t))
    cdef const uint8_t *base = NULL
    cdef int64_t[::1] record, pos
    cdef int32_t[::1] run
    cdef int64_t[:, ::1] id, ref, alt, runs
    if records == NULL or names == NULL:
        free(records)
        free(names)
        raise MemoryError()
    try:
        if size > 0:
            base = &text[start]
        with nogil:
            vcf_read(base, size, last, records, names, room, &done)
        out = (
            np.empty(done.alleles, np.int64), np.empty(done.alleles, np.int32),
            np.empty(done.alleles, np.int64), np.empty((done.alleles, 2), np.int64),
            np.empty((done.alleles, 2), np.int64),
            np.empty((done.alleles, 2), np.int64),
            np.empty((done.runs, 2), np.int64),
        )
        record, run, pos, id, ref, alt, runs = out
        with nogil:
            for i in range(done.runs):
                runs[i, 0] = names[i][0] + start
                runs[i, 1] = names[i][1] + start
            for i in range(done.records):
                at = records[i].alt[0]
                for _piece in range(records[i].alts):
                    end = at
                    while end < records[i].alt[1] and base[end] != c",":
                        end += 1
                    record[row] = i
                    run[row] = <int32_t>records[i].chrom
                    pos[row] = records[i].pos
                    id[row, 0] = records[i].id[0] + start
                    id[row, 1] = records[i].id[1] + start
                    ref[row, 0] = records[i].ref[0] + start
                    ref[row, 1] = records[i].ref[1] + start
                    alt[row, 0] = at + start
                    alt[row, 1] = end + start
                    at = end + 1
                    row += 1
    finally:
        free(records)
        free(names)
    return (done.consumed, done.lines, done.columns, *out)


FRESH = VCF_FRESH


def cut_lines(const uint8_t[::1] text not None, int64_t state):
    """Return lines without what stands behind their fifth tab, and where in a line they end.

    `state` is FRESH at the beginning of a line, or what the call for the text before returned.
    """
    cdef int64_t size
    out = np.empty(text.shape[0], np.uint8)
    cdef uint8_t[::1] room = out
    if text.shape[0]:
        with nogil:
            size = vcf_cut(&text[0], text.shape[0], &state, &room[0])
        out = out[:size]
    return out.tobytes(), state
