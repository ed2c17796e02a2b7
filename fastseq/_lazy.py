"""The one place that imports by name at run time: names on first touch, extras with a sentence."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType

from fastseq.errors import MissingExtraError

# which extra of the distribution brings an optional dependency
EXTRA = {
    "torch": "models", "safetensors": "models", "tqdm": "models", "pandas": "models",
    "h5py": "models",
    "pysam": "genome", "pyarrow": "genome",
    "numba": "numba", "lightgbm": "trees", "sklearn": "trees", "triton": "gpu",
    "pybigtools": "genome",
    "matplotlib": "show", "jinja2": "show", "ray": "cluster",
    "transformers": "esm", "tangermeme": "explain", "memelite": "explain",
    "onnx": "onnx", "onnxscript": "onnx", "zarr": "zarr",
}  # fmt: skip


def load(module: str) -> ModuleType:
    """Return an imported module; where an optional dependency is missing, name its extra.

    Raises
    ------
    MissingExtraError
        The dependency is not installed; the message holds the line that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        hint = f"{module} needs {missing}: pip install 'fastseq-genomics[{EXTRA[missing]}]'"
        raise MissingExtraError(hint, name=error.name) from error


def attach(
    package: str, names: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package whose names load on use.

    ``names`` maps a module below the package to the names it gives; a module that is itself
    public gives its own last name (``{"models": ["models"]}``).
    """
    home = {name: f"{package}.{module}" for module, group in names.items() for name in group}

    def getattr_(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = load(home[name])
        value = module if home[name] == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return getattr_, lambda: sorted({*vars(sys.modules[package]), *home}), sorted(home)


class _Verb(ModuleType):
    def __call__(self, *args: object, **options: object) -> object:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **options)


def also_verb(module: str) -> None:
    """Make a module callable as the function of its own name.

    ``fastseq.lower`` is a room and, in the public contract, a function; importing anything from
    the room would otherwise put the module in the function's place.
    """
    sys.modules[module].__class__ = _Verb
