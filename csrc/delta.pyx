"""Differences of edits carried through a network, window by window, around cached references."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from doors cimport cpu_level

cdef extern from "delta.h" nogil:
    ctypedef struct delta_step_t:
        pass
    ctypedef struct delta_value_t:
        pass
    ctypedef struct delta_reference_t:
        pass
    ctypedef struct delta_run_t:
        const delta_step_t *steps
        const delta_value_t *values
        const delta_reference_t *references
        float **outs
        const uint8_t *codes
        const int64_t *row
        const int64_t *start
        const uint8_t *inserted
        void *data
        uint64_t *masks
        int64_t *ranges
        int64_t n_steps, n_values, n_sites, bases, length, alternatives, chunk, done
    void delta_run(const delta_run_t*, int, int)
    int delta_has_bfloat16(int)

cdef const int *cpu = cpu_level()

# the order of a step's numbers; addresses stand last
FIELDS = ("kind", "x", "y", "out", "kernel", "stride", "dilation", "before", "channels_in",
          "channels", "length_in", "length", "activation", "diagonal", "late", "weight", "slope")
KINDS = ("stem", "conv", "activate", "add", "concat", "max_pool", "mean_pool", "global_max")
LANE, BLOCK, ALTERNATIVES = 16, 64, 3


def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16, and may."""
    return bool(delta_has_bfloat16(cpu[0]))


def run(const int64_t[:, ::1] steps not None, const int64_t[:, ::1] values not None,
        const int64_t[:, ::1] references not None, const int64_t[::1] outs not None,
        const uint8_t[:, ::1] codes not None, const int64_t[::1] row not None,
        const int64_t[::1] start not None,
        const uint8_t[:, :, ::1] inserted not None, uint8_t[::1] data not None,
        uint64_t[::1] masks not None, int64_t[::1] ranges not None, Py_ssize_t chunk,
        bint narrow) -> None:
    """Carry edits of a few sequences through all steps; addresses are the caller's to keep.

    `steps` (steps, 17), `values` (values, 5), `references` (steps, 6) and `outs` (steps,) hold the
    numbers and addresses of the structures in delta.h. Differences are held as float32, `narrow` as
    bfloat16.
    """
    cdef delta_run_t q
    if steps.shape[1] != 17 or values.shape[1] != 5 or references.shape[1] != 6:
        raise ValueError("a table does not have the columns of delta.h")
    if references.shape[0] != steps.shape[0] or outs.shape[0] != steps.shape[0]:
        raise ValueError("references and outs need a row for every step")
    if inserted.shape[0] != start.shape[0] or not 1 <= inserted.shape[1] <= 3:
        raise ValueError("inserted must be (sites, 1..3 alternatives, length)")
    if ranges.shape[0] < 2 * chunk * values.shape[0]:
        raise ValueError("ranges holds too little for the chunk")
    if row.shape[0] != start.shape[0]:
        raise ValueError("every site has a row and a start")
    if narrow and not has_bfloat16():
        raise ValueError("the processor multiplies no bfloat16")
    if not start.shape[0]:
        return
    q.steps = <const delta_step_t*>&steps[0, 0]
    q.values = <const delta_value_t*>&values[0, 0]
    q.references = <const delta_reference_t*>&references[0, 0]
    q.outs = <float**>&outs[0]
    q.codes, q.row, q.start = &codes[0, 0], &row[0], &start[0]
    q.inserted, q.bases = &inserted[0, 0, 0], codes.shape[1]
    q.data, q.masks, q.ranges = &data[0], &masks[0], &ranges[0]
    q.n_steps, q.n_values, q.n_sites = steps.shape[0], values.shape[0], start.shape[0]
    q.alternatives, q.length, q.chunk = inserted.shape[1], inserted.shape[2], chunk
    q.done = 0
    with nogil:
        delta_run(&q, narrow, cpu[0])
