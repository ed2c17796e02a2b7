"""Fields of the specs that travel in checkpoints: which there are, and of what kind."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fastseq.errors import OptionError


def known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as a dict.

    Raises
    ------
    OptionError
        The class has no such field.
    """
    names = {field.name for field in fields(cls)}
    if unknown := set(values) - names:
        raise OptionError(
            f"{cls.__name__} has no field {', '.join(sorted(map(str, unknown)))}; it knows "
            f"{', '.join(sorted(names))} (a newer fastseq may have written this)"
        )
    return dict(values)


def several(name: str, values: Any, kind: type) -> tuple[Any, ...]:
    """Return the values as a tuple.

    Raises
    ------
    OptionError
        They are no list or tuple, or one of them is of another kind.
    """
    if not isinstance(values, (tuple, list)) or not all(isinstance(v, kind) for v in values):
        raise OptionError(f"{name}={values!r}; expected a list of {kind.__name__.lower()}")
    return tuple(values)
