"""The manifest of a folder that a run fills part by part: what the run is, and whether it ended."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from fastseq.errors import FormatError, MissingFileError, ResumeError
from fastseq.io.files import replacing

MANIFEST = "manifest.json"


def read_manifest(folder: str | PathLike[str]) -> dict[str, Any]:
    """Return the manifest of a folder of results.

    Raises
    ------
    MissingFileError
        There is none.
    FormatError
        It is no manifest.
    """
    file = Path(folder) / MANIFEST
    try:
        manifest = json.loads(file.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"{file}: no such file; expected a folder of results") from error
    except ValueError as error:
        raise FormatError(f"{file}: not a manifest of fastseq") from error
    if not isinstance(manifest, dict):
        raise FormatError(f"{file}: not a manifest of fastseq")
    return manifest


def write_manifest(folder: str | PathLike[str], manifest: Mapping[str, Any]) -> None:
    """Write a manifest, whole or not at all."""
    with replacing(Path(folder) / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n")


def check_same_run(
    folder: str | PathLike[str],
    identity: Mapping[str, Any],
    *,
    resume: bool,
    otherwise: str = "choose another folder",
) -> None:
    """Raise where a folder that holds a manifest may not be gone on with.

    Parameters
    ----------
    folder : path-like
    identity : mapping
        What the run is, as it reads back from JSON.
    resume : bool
    otherwise : str
        What else to do about a run that is there.

    Raises
    ------
    ResumeError
        ``resume`` is false, or the folder holds another run; the message says what differs.
    MissingFileError, FormatError
        As `read_manifest`.
    """
    theirs = read_manifest(folder).get("identity", {})
    if not resume:
        raise ResumeError(f"{folder}: already holds a run; resume it (--resume) or {otherwise}")
    keys = [*identity, *(key for key in theirs if key not in identity)]
    differ = [key for key in keys if theirs.get(key) != identity.get(key)]
    if differ:
        raise ResumeError(
            f"{folder}: holds another run; {', '.join(differ)} differ: "
            f"{_short(theirs.get(differ[0]))} there, {_short(identity.get(differ[0]))} now"
        )


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}.."
