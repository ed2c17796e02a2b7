"""What every verb is: its common options, and how it says to people and programs what it did."""

import json
import math
import resource
import time
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import click

from fastseq.cli.shared.config import read_config
from fastseq.cli.shared.files import name_files, refuse_to_replace

DEBUG = "fastseq.debug"
QUIET = "fastseq.quiet"
VERBOSE = "fastseq.verbose"
JSON = "fastseq.json"
FACTS = "fastseq.facts"
NAME = "fastseq.verb"
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _remember(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[key] = True

    return callback


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_remember(DEBUG),
    help="Show the traceback of an error.",
)  # fmt: skip
COMMON = (
    click.option("--config", metavar="FILE", is_eager=True, expose_value=False,
                 callback=read_config, help="TOML file whose keys are options of this verb."),
    click.option("--json", is_flag=True, expose_value=False, callback=_remember(JSON),
                 help="Print one JSON object that says what was done."),
    click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_remember(QUIET),
                 help="No progress, no notes."),
    click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_remember(VERBOSE),
                 help="Also tell every option's value, and time and memory at the end."),
    debug_option,
)  # fmt: skip


class Verb(click.Command):
    """A command that tells what it did, how long it took, and what an interrupt left.

    Attributes
    ----------
    answers : bool
        The verb's data are its JSON object, which then takes their place on standard output.
    resumes : callable or None
        Says of an output's name whether ``--resume`` can go on with it.
    otherwise : str
        How to name an output with which it could.
    """

    answers: bool = False
    resumes: Callable[[str], bool] | None = None
    otherwise: str = ""

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[NAME] = ctx.command_path.partition(" ")[2]  # kmers, models list
        output = ctx.params.get("output", ctx.params.get("file"))
        # these ask what would be done: no data follow
        asks = any(ctx.params.get(name) for name in ("explain", "dry_run"))
        if as_json() and output == "-" and not (self.answers or asks):
            raise click.UsageError(
                "--json and the data would share standard output; name a file for the data"
            )
        refuse_to_replace(ctx)
        if ctx.meta.get(VERBOSE):
            given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
            click.echo(f"fastseq: {self.name} with {given}", err=True)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        try:
            result = super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise type(interrupt)(self._left(output)) from None
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        if ctx.meta.get(VERBOSE):
            # Linux counts in kilobytes
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            told = f"{seconds:.1f} s, {cpu:.1f} s of them computing, {megabytes:,} MB at most"
            click.echo(f"fastseq: {self.name} took {told}", err=True)
        done(seconds=round(seconds, 3))
        if as_json():
            print_object(ctx.meta)
        return result

    def _left(self, output: str | None) -> str:
        """Return what an interrupt left where the output was to be, and how to go on."""
        if output in (None, "-"):
            return self.otherwise
        there = Path(str(output)).exists()
        if self.resumes is not None and self.resumes(str(output)):
            if there:
                return f"{output} keeps what was finished, and --resume goes on with it"
            return f"nothing was finished, {output} is not there yet"
        left = "is what it was before" if there else "was not written, nor half of it"
        return f"{output} {left}" + (f"; {self.otherwise}" if self.otherwise else "")


def verb(
    name: str,
    *,
    answers: bool = False,
    resumes: Callable[[str], bool] | None = None,
    otherwise: str = "",
) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator that makes a function the verb ``name``, with the common options.

    The other parameters are the attributes of `Verb`.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        command = click.command(name, cls=Verb, context_settings=SETTINGS)(function)
        command.answers, command.resumes, command.otherwise = answers, resumes, otherwise
        for option in COMMON:
            option(command)
        name_files(command)
        return command

    return decorate


def quiet() -> bool:
    """Return whether the user wants to see neither progress nor notes."""
    return bool(click.get_current_context().meta.get(QUIET))


def as_json() -> bool:
    """Return whether standard output is to carry one JSON object."""
    return bool(click.get_current_context().meta.get(JSON))


def note(text: str) -> None:
    """Tell the user something on standard error, unless asked to be quiet."""
    if not quiet():
        click.echo(f"fastseq: {text}", err=True)


def done(**facts: Any) -> None:
    """Add to what ``--json`` says: paths, counts, figures; values become JSON's own."""
    click.get_current_context().meta.setdefault(FACTS, {}).update(facts)


def answer(text: str, **facts: Any) -> None:
    """Print what a verb was asked for: as text, or as part of its JSON object."""
    done(**facts)
    if not as_json():
        click.echo(text)


def print_object(meta: Mapping[str, Any], **more: Any) -> None:
    """Print the one JSON object: the verb, what it did, and ``more``."""
    told = {"verb": meta.get(NAME), **meta.get(FACTS, {}), **more}
    click.echo(json.dumps(plain(told), indent=2))


def plain(value: Any) -> Any:
    """Return JSON values: null where a number is not finite, names for paths, lists for arrays."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, PathLike):
        return fspath(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
