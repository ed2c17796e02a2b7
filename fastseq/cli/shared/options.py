"""Options that verbs share, so that one word means one thing everywhere."""

import resource
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fastseq._lazy import load
from fastseq.errors import OptionError, UnreadableFileError

DEBUG = "fastseq.debug"
QUIET = "fastseq.quiet"
VERBOSE = "fastseq.verbose"
# an option or argument with one of these words in its metavar names a file
FILE_WORDS = ("FILE", "FOLDER", "BED", "MAPS", "SEQUENCES", "RESULT", "VCF", "OUT", "MODEL")


def _remember(key: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[key] = True

    return callback


def _read_config(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Take defaults from a TOML file: keys of the verb's own table, or of the top."""
    if path is None:
        return
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise click.BadParameter(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise click.BadParameter(f"{path} is no TOML: {error}") from error
    section = content.get(ctx.info_name or "", {})
    keys = {name: value for name, value in content.items() if not isinstance(value, dict)} | section
    known = {
        opt.lstrip("-").replace("-", "_"): param.name
        for param in ctx.command.params
        for opt in (*param.opts, *param.secondary_opts, param.name or "")
    }
    unknown = [key for key in keys if key.replace("-", "_") not in known]
    if unknown:
        raise click.BadParameter(
            f"{path} has {', '.join(unknown)}; {ctx.info_name} knows "
            f"{', '.join(sorted(name.replace('_', '-') for name in known if len(name) > 1))}"
        )
    several = {param.name for param in ctx.command.params if getattr(param, "multiple", False)}
    values = {known[key.replace("-", "_")]: value for key, value in keys.items()}
    for name in several & values.keys():
        values[name] = [values[name]] if isinstance(values[name], str) else values[name]
    ctx.default_map = {**(ctx.default_map or {}), **values}


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_remember(DEBUG),
    help="Show the traceback of an error.",
)  # fmt: skip
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_remember(QUIET),
    help="No progress, no notes.",
)  # fmt: skip
verbose_option = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=_remember(VERBOSE),
    help="Also tell every option's value, and time and memory at the end.",
)  # fmt: skip
config_option = click.option(
    "--config", metavar="FILE", is_eager=True, expose_value=False, callback=_read_config,
    help="TOML file whose keys are options of this verb.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Names every draw."
)


class Verb(click.Command):
    """A command that tells, when asked, with what it ran and what that took."""

    def invoke(self, ctx: click.Context) -> Any:
        if not ctx.meta.get(VERBOSE):
            return super().invoke(ctx)
        given = {name: value for name, value in ctx.params.items() if value not in (None, ())}
        click.echo(f"fastseq: {self.name} with {given}", err=True)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        result = super().invoke(ctx)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
        # Linux counts in kilobytes
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        told = f"{seconds:.1f} s, {cpu:.1f} s of them computing, {megabytes:,} MB at most"
        click.echo(f"fastseq: {self.name} took {told}", err=True)
        return result


class FileName(click.types.StringParamType):
    """A name that shells complete as a file."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


def verb(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Return a decorator that makes a function the verb ``name``, with the common options."""

    def decorate(function: Callable[..., None]) -> click.Command:
        settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        command = click.command(name, cls=Verb, context_settings=settings)(function)
        for option in (config_option, quiet_option, verbose_option, debug_option):
            option(command)
        for param in command.params:
            words = (param.metavar or "").split("|")
            if type(param.type) is click.types.StringParamType and any(
                word.startswith(FILE_WORDS) or word in ("A", "B") for word in words
            ):
                param.type = FileName()
        return command

    return decorate


def models_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--model``; several are an ensemble."""
    return click.option(
        "-m", "--model", "models", required=True, multiple=True, metavar="FILE",
        help="Checkpoint (.safetensors); given several times, an ensemble is averaged.",
    )(function)  # fmt: skip


def output_option(default: str | None, help: str) -> Callable[..., Any]:
    """Return the option ``-o``; without a default it is required."""
    given: dict[str, Any] = (
        {"required": True} if default is None else {"default": default, "show_default": True}
    )
    return click.option(
        "-o", "--output", metavar="FILE", help=help, callback=beside_others, **given
    )


def beside_others(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    """Refuse a file in a folder that is not there, before the work and not after it."""
    if path is None:
        return None
    folder = Path(path).parent
    if Path(path).suffix and not folder.is_dir():
        raise UnreadableFileError(f"{path}: cannot be written: there is no folder {folder}")
    return path


def _device(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    """Refuse a device that this machine lacks in a line of ours."""
    if name is not None:
        torch = load("torch")
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).partition("\n")[0]
            raise OptionError(f"--device {name} does not run here: {reason}") from error
    return name


device_option = click.option(
    "--device", metavar="NAME", callback=_device, help="Such as cuda:0; the GPU if there is one."
)
training_device_option = click.option(
    "--device", metavar="NAME", callback=_device, help="Such as cuda; the CPU otherwise."
)


engine_option = click.option(
    "--engine", type=click.Choice(["auto", "incremental", "full"]), default="auto",
    show_default=True, help="Carry differences through the model, or run each mutant in full.",
)  # fmt: skip


def sequence_options(
    function: Callable[..., None], *, required: bool = True
) -> Callable[..., None]:
    """Add the input of sequences: a file or ``-``, and which columns hold what."""
    function = click.option(
        "--name-column", metavar="NAME", help="Column with the names; name or id otherwise."
    )(function)
    function = click.option(
        "--sequence-column", metavar="NAME", help="Column with the sequences; seq otherwise."
    )(function)
    return click.argument("sequences", metavar="SEQUENCES", required=required)(function)


def running_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add how a model is run."""
    for option in (
        click.option("--precision", default="float32", show_default=True,
                     type=click.Choice(["float32", "tf32", "float16", "bfloat16"]),
                     help="Arithmetic of the network; tf32 and float16 on a GPU."),
        device_option,
        click.option("--batch-size", type=click.IntRange(1), help="Sequences run at once."),
        click.option("--strands", type=click.Choice(["forward", "both"]), default="forward",
                     show_default=True, help="Average over the reverse complement, too."),
    ):  # fmt: skip
        function = option(function)
    return function


class IntegerList(click.ParamType):
    """Whole numbers such as ``3,4,5``, ``3-8`` or ``-2,0,2``."""

    name = "integers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if not isinstance(value, str):
            return tuple(map(int, [value] if isinstance(value, int) else value))
        try:
            first, dash, last = value.partition("-")
            if first and dash and last:
                return tuple(range(int(first), int(last) + 1))
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}; expected numbers such as 3,4,5 or 3-8", param, ctx)


INTEGERS = IntegerList()


shifts_option = click.option(
    "--shifts", type=INTEGERS, default="0", show_default=True,
    help="Average over the window moved by so many bp.",
)  # fmt: skip


def view_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add over which windows answers are averaged, and whether the activation comes last."""
    for option in (
        click.option("--scale", type=click.Choice(["output", "logit"]), default="output",
                     show_default=True, help="'logit' stops before the activation."),
        shifts_option,
    ):  # fmt: skip
        function = option(function)
    return function


def quiet() -> bool:
    """Return whether the user wants to see neither progress nor notes."""
    return bool(click.get_current_context().meta.get(QUIET))


def note(text: str) -> None:
    """Tell the user something on standard error, unless asked to be quiet."""
    if not quiet():
        click.echo(f"fastseq: {text}", err=True)


def ensemble(models: Sequence[str]) -> Any:
    """Return what the public functions take: one path, or a list of them."""
    return models[0] if len(models) == 1 else list(models)
