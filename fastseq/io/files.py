"""Bytes in and bytes out: compressed or not, from anywhere, and never half-written.

Compression is told by the first bytes of a file, never by its name. A file appears under its
final name only when it is whole.
"""

import hashlib
import os
import secrets
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fastseq.errors import (
    FastseqWarning,
    FormatError,
    MissingFileError,
    OptionError,
    UnreadableFileError,
)

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"

PathLike = str | os.PathLike[str]


def chunks(path: PathLike, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, or of standard input for ``-``, piece by piece.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        A gzip stream that is cut off or damaged; what came before has been yielded.
    """
    with opened(path) as stream:
        try:
            raw = stream.read(size)
            if raw[:2] == GZIP:
                yield from (unblock if is_bgzip(raw) else inflate)(raw, stream, size, path)
                return
            while raw:
                yield raw
                raw = stream.read(size)
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be read: {error.strerror}") from error


def is_bgzip(raw: bytes) -> bool:
    """Say whether gzip data begin with a block that tells its own size, as bgzip writes them."""
    return raw[3:4] == b"\x04" and raw[10:16] == b"\x06\x00BC\x02\x00"


def unblock(raw: bytes, stream: IO[bytes], size: int, path: PathLike) -> Iterator[bytes]:
    """Yield what bgzip's blocks hold; each is inflated where it lies, without copying the rest."""
    at, texts, held, last = 0, [], 0, b""
    while True:
        end = at + int.from_bytes(raw[at + 16 : at + 18], "little") + 1
        if len(raw) < at + 18 or len(raw) < end:
            raw, at = raw[at:] + (more := stream.read(size)), 0
            if more:
                continue
            break
        if not is_bgzip(raw[at : at + 18]):
            break
        try:
            last = zlib.decompress(memoryview(raw)[at:end], 31)
        except zlib.error as error:
            yield b"".join(texts)
            raise FormatError(
                f"{path}: damaged gzip data ({error}); fetch the file again"
            ) from None
        texts.append(last)
        held, at = held + len(last), end
        if held >= size:
            yield b"".join(texts)
            texts, held = [], 0
    yield b"".join(texts)
    if raw[at:]:
        yield from inflate(raw[at:], stream, size, path)
    elif last:
        warnings.warn(
            f"{path}: bgzip's closing block is missing; the file may have been cut off",
            FastseqWarning,
            stacklevel=2,
        )


def inflate(raw: bytes, stream: IO[bytes], size: int, path: PathLike) -> Iterator[bytes]:
    """Yield what a stream of gzip members holds."""
    member = zlib.decompressobj(31)
    try:
        while raw:
            text = member.decompress(raw, 8 * size)
            if text:
                yield text
            raw = member.unused_data if member.eof else member.unconsumed_tail
            raw = raw or stream.read(size)
            # zero bytes may pad the end of a gzip file
            if member.eof and (raw := raw.lstrip(b"\0")):
                member = zlib.decompressobj(31)
    except zlib.error as error:
        raise FormatError(f"{path}: damaged gzip data ({error}); fetch the file again") from error
    if not member.eof:
        raise FormatError(f"{path}: gzip data end too early; fetch the file again")


@contextmanager
def opened(path: PathLike) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for ``-``, for reading bytes."""
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(path, "rb")  # noqa: SIM115  closed by the `with` below
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def first_bytes(path: PathLike, count: int = 1 << 16) -> bytes:
    """Return the first decompressed bytes of a file, at most ``count``, cut off or not."""
    with opened(path) as stream:
        raw = stream.read(count)
        if raw[:2] != GZIP:
            return raw
        try:
            return next(inflate(raw, stream, count, path), b"")[:count]
        except FormatError:
            return b""


@contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary file is flushed to disk before the rename and removed when the block fails, so
    that a reader finds the old file or the whole new one. A device or a pipe is never replaced:
    its own path is yielded. Through a link, what it leads to is replaced.

    Raises
    ------
    UnreadableFileError
        The folder does not take files (missing, read-only or full), or the path is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise UnreadableFileError(f"{path}: cannot be written: it is a folder")
    special = path.exists() and not path.is_file()
    # a link keeps its place, and what it leads to is replaced
    path = path.resolve() if path.is_symlink() and not special else path
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if special:
            yield path
            return
        try:
            yield temporary
            handle = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if isinstance(error, (UnreadableFileError, MissingFileError)) or error.errno is None:
            raise
        raise UnreadableFileError(f"{path}: cannot be written: {error.strerror}") from error


def write_bytes(path: PathLike, data: bytes) -> None:
    """Write a whole file at once, or standard output for ``-``."""
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes as they lie on disk, in hexadecimal."""
    if str(path) == "-":
        raise OptionError("standard input has no checksum; write it to a file first")
    with opened(path) as stream:
        digest = hashlib.sha256()
        while piece := stream.read(CHUNK):
            digest.update(piece)
        return digest.hexdigest()
