"""Every block of code of README and of the documentation runs, in a folder that holds the demo."""

import doctest
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from tests.cli.test_examples import check_options, ours

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [path for path in sorted(ROOT.glob("fastseq/**/*.py")) if ">>> " in path.read_text()]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def blocks(page):
    return BLOCK.findall(page.read_text())


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name)
def test_code_of_a_page_runs(page, run, demo_folder):
    shutil.copytree(demo_folder, "fastseq-demo")
    names = {}
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page.name, "exec"), names)
        elif language == "toml":
            Path(code.partition(".toml")[0].removeprefix("# ") + ".toml").write_text(code)
        elif language in ("bash", ""):
            for words in map(shlex.split, code.replace("\\\n", " ").splitlines()):
                for call, _ in ours(words):
                    check_options(call)
                    if language == "bash" and call != ["demo"]:
                        result = run(*call, "-q")
                        assert result.exit_code == 0, f"{call}\n{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_plain_text_exist(page):
    for language, code in blocks(page):
        if language == "text":
            for line in code.replace("\\\n", " ").splitlines():
                if "fastseq " in line and not line.lstrip().startswith("#"):
                    check_options(shlex.split(line[line.index("fastseq ") :])[1:])


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_examples_of_docstrings_run(path):
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert doctest.testmod(module).failed == 0


def test_the_map_in_the_readme_names_every_room():
    (map_,) = [code for language, code in blocks(ROOT / "README.md") if "csrc/" in code]
    named = {word for line in map_.splitlines() for word in line.split() if word.endswith("/")}
    rooms = {f"{path.parent.name}/" for path in ROOT.glob("fastseq/*/__init__.py")}
    tops = {"fastseq/", "kernels/", "csrc/", "tests/", "benchmarks/", "docs/"}
    inside = {"reference/", "hostile/", "real/", "rivals/"}  # rooms of tests and benchmarks
    assert named - inside == tops | rooms - {"_native/"}
