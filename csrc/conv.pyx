"""Convolutions of channels-last maps with what follows them, and first layers read from codes."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t

from doors cimport cpu_level

cdef extern from "conv.h" nogil:
    ctypedef struct conv_layer_t:
        int64_t words, channels, length_in, length, taps, stride, dilation, before
        int64_t points, step, tiles, activation, pool, late
    ctypedef struct conv_stem_t:
        pass
    ctypedef struct conv_groups_t:
        pass
    int64_t conv_scratch(const conv_layer_t*)
    int conv_has_bfloat16(int)
    void conv_run(const conv_layer_t*, const void*, const void*, void*, int64_t, float*, int, int)
    void conv_stem_run(const conv_stem_t*, const uint8_t*, void*, int64_t, int32_t*, int, int)
    void conv_groups_run(const conv_groups_t*, const void*, void*, int64_t, int, int)

cdef const int *cpu = cpu_level()

# the numbers of a layer in the order of conv.h; addresses of weights, bias and slopes stand last
LAYER = ("words", "channels", "length_in", "length", "taps", "stride", "dilation", "before",
         "points", "step", "tiles", "activation", "pool", "late", "weight", "bias", "slope")
STEM = ("tables", "letters", "channels", "width", "length_in", "length", "stride", "before",
        "activation", "pool", "table", "bias", "slope")
GROUPS = ("group", "channels", "length_in", "length", "taps", "stride", "dilation", "before",
          "activation", "pool", "weight", "bias", "slope")
ACTIVATIONS = ("none", "relu", "slope", "silu", "sigmoid")
BLOCK, LETTERS = 64, 6


def has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16, and may."""
    return bool(conv_has_bfloat16(cpu[0]))


def scratch(const int64_t[::1] layer not None) -> int:
    """Return how many floats `run` needs beside its input and output."""
    _check(layer, LAYER)
    return conv_scratch(<const conv_layer_t*>&layer[0])


def run(const int64_t[::1] layer not None, uintptr_t x, uintptr_t skip, uintptr_t y, Py_ssize_t n,
        uintptr_t scratch, bint narrow) -> None:
    """Run a convolution on n sequences; addresses are the caller's to keep, skip may be 0."""
    _check(layer, LAYER)
    cdef const conv_layer_t *q = <const conv_layer_t*>&layer[0]
    with nogil:
        conv_run(q, <const void*>x, <const void*>skip, <void*>y, n, <float*>scratch, narrow, cpu[0])


def run_stem(const int64_t[::1] layer not None, const uint8_t[:, ::1] codes not None, uintptr_t y,
             uintptr_t scratch, bint narrow) -> None:
    """Run a first layer on codes; scratch holds an int32 for every start of a table's letters."""
    _check(layer, STEM)
    cdef const conv_stem_t *q = <const conv_stem_t*>&layer[0]
    cdef Py_ssize_t n = codes.shape[0]
    if not codes.size:
        return
    with nogil:
        conv_stem_run(q, &codes[0, 0], <void*>y, n, <int32_t*>scratch, narrow, cpu[0])


def run_groups(const int64_t[::1] layer not None, uintptr_t x, uintptr_t y, Py_ssize_t n,
               bint narrow) -> None:
    """Run a grouped convolution on n sequences; addresses are the caller's to keep."""
    _check(layer, GROUPS)
    cdef const conv_groups_t *q = <const conv_groups_t*>&layer[0]
    with nogil:
        conv_groups_run(q, <const void*>x, <void*>y, n, narrow, cpu[0])


cdef int _check(const int64_t[::1] layer, tuple names) except -1:
    if layer.shape[0] != len(names):
        raise ValueError("a layer does not have the numbers of conv.h")
    return 0
