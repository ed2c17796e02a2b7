"""Build csrc/*.pyx into fastseq._native; all else is declared in pyproject.toml.

FASTSEQ_DEBUG=1 keeps symbols and asserts and checks bounds; FASTSEQ_SANITIZE=1 adds address and
undefined-behaviour checks.
"""

import os
from glob import glob
from pathlib import Path

from setuptools import Extension, setup

DEBUG = os.environ.get("FASTSEQ_DEBUG") == "1"
SANITIZE = os.environ.get("FASTSEQ_SANITIZE") == "1"

flags = ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O3", "-g0"]
link = []
if SANITIZE:
    link = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    flags += ["-g", "-fno-omit-frame-pointer", *link]

extensions = [
    Extension(
        f"fastseq._native.{Path(source).stem}",
        [source],
        include_dirs=["csrc", "csrc/include"],
        # setuptools puts `depends` into the sdist and rebuilds when one of them changes
        depends=sorted(glob("csrc/*.p*") + glob("csrc/include/*.h")),
        define_macros=[("Py_LIMITED_API", "0x030B0000")],
        py_limited_api=True,
        extra_compile_args=flags,
        extra_link_args=link,
    )
    for source in sorted(glob("csrc/*.pyx"))
]
for extension in extensions:
    # tuples need Python's own index rules, so these two are switched per function, not here
    extension.cython_directives = {
        "language_level": 3,
        "embedsignature": True,
        "boundscheck": DEBUG,
        "freethreading_compatible": True,
    }

setup(
    ext_modules=extensions,
    options={
        "bdist_wheel": {"py_limited_api": "cp311"},
        "build_ext": {"cython_c_in_temp": True},  # generated C never lands beside its source
    },
)
