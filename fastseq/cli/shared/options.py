"""Options that verbs share, so that one word means one thing everywhere."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from fastseq._lazy import load
from fastseq.cli.shared.files import OutputName
from fastseq.errors import OptionError

seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Names every draw."
)


def models_option(function: Callable[..., None]) -> Callable[..., None]:
    """Add ``--model``; several are an ensemble."""
    return click.option(
        "-m", "--model", "models", required=True, multiple=True, metavar="FILE",
        help="Checkpoint (.safetensors); given several times, an ensemble is averaged.",
    )(function)  # fmt: skip


def output_option(
    default: str | None, help: str, *, endings: Sequence[str] = (), folders: bool = False
) -> Callable[..., Any]:
    """Return the option ``-o``; without a default it is required."""
    given: dict[str, Any] = (
        {"required": True} if default is None else {"default": default, "show_default": True}
    )
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        type=OutputName(endings, folders=folders),
        help=help,
        **given,
    )


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


def as_run(models: Sequence[str], options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how each model ran, for the JSON object: in what arithmetic, on which device."""
    device = options["device"] or ("cuda" if load("torch").cuda.is_available() else "cpu")
    how = {"precision": options["precision"], "device": device}
    return [{"model": model, **how} for model in models]


def ensemble(models: Sequence[str]) -> Any:
    """Return what the public functions take: one path, or a list of them."""
    return models[0] if len(models) == 1 else list(models)
