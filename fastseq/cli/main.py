"""The fastseq command: verbs imported when they run, errors as one line, exit codes that mean it.

0 done · 1 could not do it · 2 wrong usage · 130 interrupted · 141 the reader of a pipe went away ·
143 told to end.
"""

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO

import click
from click.shell_completion import CompletionItem, get_completion_class

from fastseq import __version__
from fastseq._lazy import load
from fastseq.cli.shared.verb import DEBUG, JSON, NAME, SETTINGS, debug_option, print_object
from fastseq.errors import FastseqError

VERBS = {
    "demo": "The whole journey on data it makes: train, explain, score, report.",
    "simulate": "Sequences with planted motifs whose places are known.",
    "train": "A model from sequences with labels.",
    "evaluate": "How well a model's predictions meet measurements.",
    "predict": "A model's answers for sequences.",
    "ism": "What every single-base change does to a model's answer.",
    "attribute": "Which bases matter to a model's answer.",
    "score": "What the variants of a VCF do to a model's answer.",
    "compare": "Two tables of variant scores joined, and why they differ.",
    "export": "A folder of scores as one table.",
    "annotate": "Scores written back into their VCF.",
    "kld": "Whether attributions point at repeating words, by k-mer divergence.",
    "kmers": "The k-mers of sequences, counted.",
    "encode": "Sequences as an array of codes or one-hot, for other tools.",
    "report": "One HTML page of what the other verbs wrote.",
    "models": "The models there are, and how one runs.",
    "info": "What was built and what runs here.",
}


class Failure(click.ClickException):
    """What could not be done, as the one line on standard error."""

    def show(self, file: TextIO | None = None) -> None:
        click.echo(f"fastseq: {self.message}", file=file or sys.stderr)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which a cluster sends before it takes the machine away."""


@contextmanager
def told_to_end() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does, unless whoever started the program ignores it."""

    def end(*_: object) -> NoReturn:
        raise Terminated

    before = signal.getsignal(signal.SIGTERM)
    ours = before is signal.SIG_DFL and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)


class LogLines:
    """Standard error of a pipe or a log: what a progress bar redraws becomes lines."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.after_bar = stream, False

    def write(self, text: str) -> int:
        if text.startswith("\r"):
            text = text.strip()
            self.after_bar = bool(text)
            text += "\n" if text else ""
        elif text == "\n" and self.after_bar:
            text, self.after_bar = "", False
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def lines_in_logs() -> Iterator[None]:
    """Let progress be a line now and then where standard error is no terminal that redraws."""
    stream = sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        yield
        return
    os.environ.setdefault("TQDM_MININTERVAL", "30")
    sys.stderr = LogLines(stream)
    try:
        yield
    finally:
        sys.stderr = stream


class Verbs(click.Group):
    """The group of verbs; each is a module of its own name, imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        return load(f"fastseq.cli.{cmd_name}").command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete verbs from their table, without importing them."""
        verbs = [
            CompletionItem(name, help=text)
            for name, text in VERBS.items()
            if name.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Run as a program; letters that a terminal's encoding lacks are spelled, not an error."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; whatever goes wrong becomes one line and an exit code."""
        if "--json" in ctx.args:
            ctx.meta[JSON] = True  # wrong usage is told before options are read
        with warnings.catch_warnings(), lines_in_logs(), told_to_end():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            try:
                result = super().invoke(ctx)
                sys.stdout.flush()
            except KeyboardInterrupt as interrupt:
                ended = isinstance(interrupt, Terminated)
                text = "told to end" if ended else "interrupted"
                text += f": {interrupt}" if str(interrupt) else ""
                status = 128 + (signal.SIGTERM if ended else signal.SIGINT)
                click.echo(f"fastseq: {text}", err=True)
                _tell(ctx, text, type(interrupt).__name__, status)
                ctx.exit(status)
            except BrokenPipeError:
                _drop_output()
                ctx.exit(141)
            except (click.exceptions.Exit, click.Abort):
                raise
            except click.ClickException as error:
                _tell(ctx, error.format_message(), type(error).__name__, error.exit_code)
                raise
            except Exception as error:
                _fail(ctx, error)
        return result


def _drop_output() -> None:
    """Let what is still buffered for standard output go nowhere, as it has no reader."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(ctx: click.Context, error: Exception) -> NoReturn:
    if ctx.meta.get(DEBUG):
        traceback.print_exc()
    failure = Failure(one_line(error))
    _tell(ctx, failure.message, type(error).__name__, failure.exit_code)
    raise failure from error


def _tell(ctx: click.Context, error: str, kind: str, status: int) -> None:
    """Say to a program what was not done, with the exit status that follows."""
    if ctx.meta.get(JSON):
        ctx.meta.setdefault(NAME, ctx.invoked_subcommand)
        print_object(ctx.meta, error=error, kind=kind, status=status)


def one_line(error: Exception) -> str:
    """Return what went wrong as one line, whatever the exception."""
    if isinstance(error, FastseqError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = f"out of memory ({error}); try fewer sequences or a smaller --batch-size"
    else:
        text = f"{type(error).__name__}: {error} (not foreseen; --debug shows where)"
    return " ".join(text.split())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    line = f"fastseq: warning: {' '.join(str(message).split())}"
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)  # above a bar, not inside it
    else:
        click.echo(line, err=True)


def _print_completion(ctx: click.Context, param: click.Parameter, shell: str | None) -> None:
    if shell is not None:
        completion = get_completion_class(shell)
        assert completion is not None
        click.echo(completion(ctx.command, {}, "fastseq", "_FASTSEQ_COMPLETE").source())
        ctx.exit()


@click.group(
    cls=Verbs,
    subcommand_metavar="VERB ...",
    context_settings=SETTINGS,
)
@click.version_option(__version__, "-V", "--version", prog_name="fastseq")
@click.option(
    "--completion", type=click.Choice(["bash", "zsh", "fish"]), is_eager=True, expose_value=False,
    callback=_print_completion,
    help='What the shell needs to complete: eval "$(fastseq --completion bash)".',
)  # fmt: skip
@debug_option
def main() -> None:
    """The fast path for regulatory-sequence models.

    DNA to numbers, models trained and run, what variants do, which bases matter, and whether
    the explanations can be trusted.

    \b
    The shortest way in:
      fastseq demo
    One's own data:
      fastseq train --data promoters.tsv --model tum_resnet -o model.safetensors
      fastseq score --model model.safetensors --vcf sites.vcf.gz --fasta genome.fa.gz -o scores/

    'fastseq VERB --help' has an example of each. Data go to standard output or to files, all else
    to standard error. Exit codes: 0 done, 1 could not do it, 2 wrong usage.
    """
