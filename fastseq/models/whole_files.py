"""Files that appear under their names only when they are complete."""

import os
from pathlib import Path

from fastseq.errors import UnreadableFileError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file that appears under its name only when it is complete; return the path.

    Raises
    ------
    UnreadableFileError
        The folder cannot be written, or the path is a folder, a device or a pipe.
    """
    if path.exists() and not path.is_file():
        raise UnreadableFileError(f"{path} cannot be written: it is no file that can be replaced")
    try:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be written: {error.strerror or error}") from error
    return path
