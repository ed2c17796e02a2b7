"""A TOML file whose keys are options; what is said at the prompt wins."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

import click


def read_config(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Take defaults from a TOML file: keys of the verb's own table, or of the top.

    Raises
    ------
    click.BadParameter
        The file cannot be read, or a key is no option of the verb, or a table no verb.
    """
    if path is None:
        return
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(f"{path} is no TOML: {error}") from error
    keys = {name: value for name, value in content.items() if not isinstance(value, dict)}
    keys |= _own_table(ctx, content, path)
    known = {
        opt.lstrip("-").replace("-", "_"): param.name
        for param in ctx.command.params
        for opt in (*param.opts, *param.secondary_opts, param.name or "")
    }
    spelled = sorted(name.replace("_", "-") for name in known if len(name) > 1)
    _refuse_others(
        path, {key for key in keys if key.replace("-", "_") not in known}, spelled, "key",
        f"{ctx.info_name}'s options",
    )  # fmt: skip
    several = {param.name for param in ctx.command.params if getattr(param, "multiple", False)}
    values = {known[key.replace("-", "_")]: value for key, value in keys.items()}
    for name in several & values.keys():
        values[name] = values[name] if isinstance(values[name], list) else [values[name]]
    ctx.default_map = {**(ctx.default_map or {}), **values}


def _own_table(ctx: click.Context, content: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the table of the verb: [kmers], and of a verb within a verb [models.explain]."""
    above = [ctx]
    while above[0].parent is not None:
        above.insert(0, above[0].parent)
    for group, verb in pairwise(above):
        tables = {name for name, value in content.items() if isinstance(value, dict)}
        if isinstance(group.command, click.Group):
            _refuse_others(path, tables, group.command.list_commands(ctx), "table", "verbs")
        table = content.get(verb.info_name or "", {})
        content = table if isinstance(table, dict) else {}
    return content


def _refuse_others(path: str, found: set[str], known: list[str], what: str, whose: str) -> None:
    """Refuse names that are not known, each with the one it comes nearest to."""
    odd = sorted(found - {*known})
    if not odd:
        return
    near = {name: get_close_matches(name.replace("_", "-"), known, n=1) for name in odd}
    named = [f"{name} (did you mean {near[name][0]}?)" if near[name] else name for name in odd]
    raise click.BadParameter(
        f"{path} has the {what} {', '.join(named)}; expected {whose}: {', '.join(known)}"
    )
