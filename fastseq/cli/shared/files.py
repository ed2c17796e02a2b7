"""Names of files at a prompt: completed by shells, refused before the work and not after it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fastseq.errors import OptionError, UnreadableFileError

# an option or argument with one of these words in its metavar names a file
FILE_WORDS = ("FILE", "FOLDER", "BED", "MAPS", "SEQUENCES", "RESULT", "VCF", "OUT", "MODEL")
TABLES = tuple(name + gz for name in (".tsv", ".csv", ".txt") for gz in ("", ".gz")) + (".parquet",)

PICTURES = (".png", ".svg", ".pdf")


class FileName(click.types.StringParamType):
    """A name that shells complete as a file."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class OutputName(FileName):
    """The name of a file to write, or ``-``.

    Parameters
    ----------
    endings : sequence of str
        Those it may have besides none; empty allows all.
    folders : bool
        Whether a folder may be named: with / behind it, or one that is there.
    """

    def __init__(self, endings: Sequence[str] = (), *, folders: bool = False) -> None:
        self.endings, self.folders = tuple(endings), folders

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name.

        Raises
        ------
        UnreadableFileError
            There is no folder to hold it, or the folder takes no files.
        OptionError
            The ending is none of those expected.
        """
        name = str(value)
        path = Path(name)
        if name == "-" or (self.folders and name.endswith("/")):
            return name
        if self.endings and path.suffix and not name.endswith(self.endings):
            raise OptionError(f"{name}: expected a name ending in {', '.join(self.endings)}")
        if self.endings and path.is_dir() and not self.folders:
            raise UnreadableFileError(f"{name}: cannot be written: it is a folder")
        if path.suffix and not path.parent.is_dir():
            raise UnreadableFileError(
                f"{name}: cannot be written: there is no folder {path.parent}"
            )
        if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
            raise UnreadableFileError(f"{name}: cannot be written: {path.parent} takes no files")
        return name


def name_files(command: click.Command) -> None:
    """Give every parameter whose metavar is a file's the type of one."""
    for param in command.params:
        words = (param.metavar or "").strip("[].").split("|")
        if type(param.type) is click.types.StringParamType and any(
            word.startswith(FILE_WORDS) or word in ("A", "B") for word in words
        ):
            param.type = FileName()


def refuse_to_replace(ctx: click.Context) -> None:
    """Refuse to write to a file that is read, or twice to one.

    Raises
    ------
    OptionError
        Two parameters name one file, and one of them is written.
    """
    found = list(_named(ctx))
    for number, (param, name) in enumerate(found):
        for other, same in found[number + 1 :]:
            written = [p for p in (param, other) if isinstance(p.type, OutputName)]
            if written and param is not other and os.path.realpath(name) == os.path.realpath(same):
                kept = other if written[0] is param else param
                raise OptionError(
                    f"{name}: named both as {_called(written[0])} and as {_called(kept)}, and "
                    "would be replaced; name another file"
                )


def _named(ctx: click.Context) -> Iterator[tuple[click.Parameter, str]]:
    for param in ctx.command.params:
        values = ctx.params.get(param.name or "")
        if isinstance(param.type, FileName) and values:
            for value in [values] if isinstance(values, str) else values:
                if value != "-":
                    yield param, value


def _called(param: click.Parameter) -> str:
    return max(param.opts, key=len) if isinstance(param, click.Option) else str(param.metavar)
