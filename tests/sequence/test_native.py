"""The boundary of the native modules: paths, sizes that do not fit, references, sharing."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from fastseq._native import cpu, kmers, rows
from fastseq._native import encode as native
from fastseq.sequence.encode import encode, one_hot
from fastseq.sequence.kmers import count_kmers


def test_the_environment_forces_a_path():
    code = "from fastseq._native import cpu; print(cpu.current())"
    for name in cpu.supported():
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "FASTSEQ_CPU": name},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == name
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "FASTSEQ_CPU": "mmx"},
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1
    assert "FASTSEQ_CPU is 'mmx'; expected one of portable" in done.stderr


def test_outputs_of_a_wrong_size_are_refused():
    some = rows.of_list(["ACGT", "AC"])
    with pytest.raises(ValueError, match="out holds 7 bytes; expected 8"):
        native.codes(some.capsule, 0, 2, 0, 4, np.empty(7, np.uint8), 4, 0, 0, 4)
    with pytest.raises((ValueError, BufferError)):
        native.codes(some.capsule, 0, 2, 0, 4, np.empty(16, np.uint8)[::2], 4, 0, 0, 4)
    word = kmers.Word(2, 3, False, 1)
    with pytest.raises(ValueError, match="expected 16"):
        kmers.count(some.capsule, word, 0, 2, np.zeros(15, np.int64), False)
    with pytest.raises(ValueError, match="more words than places"):
        kmers.list_words(some.capsule, word, 0, 2, np.array([0, 2, 3]), np.empty(3, np.uint64),
                         np.empty(2, np.int64))  # fmt: skip
    with pytest.raises(ValueError, match="capsule|Capsule"):
        native.codes(cpu.LEVEL, 0, 2, 0, 4, np.empty(8, np.uint8), 4, 0, 0, 4)


def test_rows_hold_what_they_point_at():
    made = rows.of_list(["ACGT" * 50 + str(i) for i in range(100)])
    made_of_array = rows.of_matrix(np.full((50, 100), 65, np.uint8), False, False)
    part = rows.windows(made, 10, 5, 3)
    gc.collect()
    assert made.row(7) == b"ACGT" * 50 + b"7"
    assert made_of_array.row(49) == b"A" * 100
    del made
    assert part.row(0) == b"ACGTACGTAC"
    with pytest.raises(IndexError):
        part.row(300)


def test_nothing_leaks():
    texts = ["ACGT" * 30 + "é" for _ in range(100)]
    before = [sys.getrefcount(text) for text in texts]
    for bad in ([*texts, 5], [*texts, object()]):
        with pytest.raises(TypeError):
            encode(bad)
    for _ in range(5):
        one_hot(texts)
        count_kmers(texts, 4, output="pairs")
    del bad
    assert [sys.getrefcount(text) for text in texts] == before


def test_a_list_may_change_while_it_is_read():
    """Rows hold references: a list emptied by another thread does no harm."""
    texts = ["".join("ACGT"[(i + j) % 4] for j in range(100)) for i in range(2000)]
    expected = one_hot(texts)
    stop = threading.Event()
    shared = list(texts)

    def disturb():
        while not stop.is_set():
            shared[:] = [text[:50] + text[50:] for text in texts]

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(100):
            assert np.array_equal(one_hot(list(shared)), expected)
    finally:
        stop.set()
        thread.join()
