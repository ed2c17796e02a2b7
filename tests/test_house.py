"""How the rooms may lean on each other, read from the sources."""

import ast
import os
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# each room, and the rooms below it that it may import (DESIGN: arrows run downhill)
GROUND = {"fastseq.errors", "fastseq.arrays", "fastseq.threads", "fastseq._lazy"}
ARROWS = {
    "fastseq": {"fastseq._lazy"},
    "fastseq._lazy": {"fastseq.errors"},
    "fastseq._native": set(),
    "fastseq.errors": set(),
    "fastseq.arrays": {"fastseq.errors"},
    "fastseq.threads": {"fastseq.errors"},
    "fastseq.info": {"fastseq._native", "fastseq._lazy"},
    "fastseq.sequence": GROUND,
    "fastseq.io": GROUND | {"fastseq.sequence"},
    "fastseq.models": GROUND | {"fastseq.sequence"},
    "fastseq.lower": GROUND | {"fastseq.sequence", "fastseq.models", "fastseq_kernels"},
    "fastseq.run": GROUND | {"fastseq.sequence", "fastseq.models", "fastseq.io", "fastseq.lower"},
    "fastseq.score": GROUND
    | {"fastseq.sequence", "fastseq.models", "fastseq.io", "fastseq.lower", "fastseq.run"},
    "fastseq.reliability": GROUND
    | {"fastseq.sequence", "fastseq.models", "fastseq.io", "fastseq.lower", "fastseq.score"},
    "fastseq.learn": GROUND
    | {"fastseq.sequence", "fastseq.models", "fastseq.io", "fastseq.lower", "fastseq.run"}
    | {"fastseq.score"},
    "fastseq.show": GROUND | {"fastseq.sequence", "fastseq.io"},
    "fastseq_kernels": set(),
}
TOP = {"fastseq.cli", "benchmarks", "tests", "setup"}  # may import everything
# only these files open csrc/
NATIVE = {"fastseq.sequence", "fastseq.reliability", "fastseq.lower", "fastseq.io", "fastseq.info"}
# rooms that must work without torch
TORCHLESS = {"fastseq.sequence", "fastseq.io", "fastseq.reliability", "fastseq.show", "fastseq.cli"}
HEAVY = {"torch", "numba", "pandas", "triton", "ray", "pyarrow", "pysam", "matplotlib", "jinja2"}
MAY_IMPORT_BY_NAME = {"fastseq._lazy", "fastseq.info"}


def module(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removeprefix("kernels.").removesuffix(".__init__")


TREES = ["setup.py", "fastseq/**/*.py", "kernels/**/*.py"]
SOURCES = {module(path): ast.parse(path.read_text()) for t in TREES for path in ROOT.glob(t)}


def room(name):
    return ".".join(name.split(".")[: 2 if name.startswith("fastseq.") else 1])


def nodes(tree):
    """Walk a tree, past what `if TYPE_CHECKING:` declares."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            child = ast.Module(child.orelse, [])
        yield child
        yield from nodes(child)


def imports(tree):
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            inner = [f"{home}.{alias.name}" for alias in node.names]
            yield from (name if name in SOURCES or room(name) == "fastseq._native" else home
                        for name in inner)  # fmt: skip


def ours(names):
    return {name for name in names if name.partition(".")[0] in ("fastseq", "fastseq_kernels")}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_arrows_run_downhill(name):
    if room(name) in TOP:
        return
    used = {room(target) for target in ours(imports(SOURCES[name]))} - {room(name)}
    if room(name) in NATIVE:
        used.discard("fastseq._native")
    assert used <= ARROWS[room(name)], f"{name} looks uphill"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_light_rooms_import_nothing_heavy_at_the_top(name):
    tops = {target.partition(".")[0] for target in imports(SOURCES[name])}
    if room(name) in TORCHLESS | GROUND | {"fastseq"}:
        # a module named after its heavy library (numba routines) is loaded by name, never imported
        assert not tops & HEAVY or name.rpartition(".")[2].endswith("numba")


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_imports_stand_at_the_top(name):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    late = [t for f in nodes(SOURCES[name]) if isinstance(f, functions) for t in imports(f)]
    assert not late, "optional dependencies go through fastseq._lazy.load"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_modules_are_imported_by_name_in_one_place_only(name):
    assert name in MAY_IMPORT_BY_NAME or "importlib" not in set(imports(SOURCES[name]))


def test_no_cycles():
    graph = {name: ours(imports(tree)) & {*SOURCES} for name, tree in SOURCES.items()}
    TopologicalSorter(graph).prepare()


@cache
def loaded_by(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    return {*subprocess.check_output([sys.executable, "-c", code], text=True).split()}


@pytest.mark.parametrize("statement", ["import fastseq", "import fastseq.cli.main"])
def test_import_is_light(statement):
    assert not (HEAVY | {"scipy"}) & loaded_by(statement)


def test_encoding_needs_no_torch():
    assert not HEAVY & loaded_by("import fastseq; fastseq.encode('ACGT'); fastseq.one_hot('ACGT')")


def test_only_our_packages_are_installed(tmp_path):
    names = {"fastseq", "fastseq_kernels", "kernels", "csrc", "tests", "benchmarks"}
    code = f"from importlib.util import find_spec; print(*filter(find_spec, {names}))"
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.check_output(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, env=apart
    )
    assert {*found.split()} == {"fastseq", "fastseq_kernels"}


def test_every_public_name_loads():
    import fastseq  # noqa: PLC0415 - the face itself is under test

    for name in fastseq.__all__:
        assert getattr(fastseq, name) is not None


def test_stubs_match_their_modules():
    for path in ROOT.glob("fastseq/_native/*.pyi"):
        declared = {
            node.name for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
        }  # fmt: skip
        code = f"import {module(path)} as m; print(*dir(m))"
        present = subprocess.check_output([sys.executable, "-c", code], text=True)
        assert declared <= {*present.split()}, path.name


def test_stubs_declare_all_that_their_modules_make():
    for path in ROOT.glob("fastseq/_native/*.pyi"):
        code = (
            f"import {module(path)} as m; print(*(n for n, v in vars(m).items()"
            " if not n.startswith('_') and getattr(v, '__module__', '') == m.__name__))"
        )
        made = {*subprocess.check_output([sys.executable, "-c", code], text=True).split()}
        assert made <= {*re.findall(r"^(?:def|class) (\w+)", path.read_text(), re.M)}, path.name


def test_every_public_name_is_seen_by_the_type_checker():
    import fastseq  # noqa: PLC0415 - the face itself is under test

    text = (ROOT / "tests/typing/public.py").read_text()
    assert {*fastseq.__all__} <= {*re.findall(r"fastseq\.(\w+)", text)}
    assert text.startswith("# pyright: strict")


def test_every_native_module_has_a_stub():
    sources = {path.stem for path in ROOT.glob("csrc/*.pyx")}
    assert sources == {path.stem for path in ROOT.glob("fastseq/_native/*.pyi")}


def test_files_of_the_command_line_are_verbs_or_parts_of_one():
    from fastseq.cli.main import VERBS  # noqa: PLC0415 - the table of verbs is under test

    stems = {path.stem for path in ROOT.glob("fastseq/cli/[!_]*.py")} - {"main"}
    assert {*VERBS} <= stems
    assert {stem.partition("_")[0] for stem in stems} == {*VERBS}


def test_no_file_names_a_machine():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    for name in tracked.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".pyx", ".h", ".md", ".json", ".toml", ".jinja", ".pyi"}:
            assert "/work/" not in path.read_text().replace('"/work/"', "")
