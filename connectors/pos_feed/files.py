"""The files of a feed, on any file system: finding them, opening them, and what can go wrong with that.

What belongs here: fsspec and gzip, and turning their errors into ours. Not here: what stands in the files.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, cast

import fsspec

from oms_hub.errors import BadPayload, HubError, Misconfigured, NeedsReconnect, RetryLater

UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 256 * 1024
_MARK_KEYS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "modified", "created")
_SETTLE_SECONDS = 3.0
"""A file touched this shortly before it was read may be touched again within the same tick of its clock."""


@dataclass(frozen=True, slots=True)
class FeedFile:
    """One file as the file system lists it.

    `mark` changes whenever the file does; empty where the file system tells nothing that can be trusted.
    """

    path: str
    size: int
    mark: str

    @property
    def name(self) -> str:
        """Return the last part of the path, for messages."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class FeedFolder:
    """A file system with the path of the feed on it."""

    file_system: Any
    path: str
    shown_path: str
    """The path as it may be shown: without user and password."""


def open_folder(path: str, options: Mapping[str, Any]) -> FeedFolder:
    """Return the file system that a feed's path names.

    Raises:
        Misconfigured: an unknown protocol, or a Python package that the protocol needs is not there.
        NeedsReconnect: the file system refuses our credentials.
        RetryLater: it cannot be reached now.
    """
    shown = re.sub(r"//[^/@]*@", "//", path)
    protocol = path.split("://", 1)[0] if "://" in path else "file"
    try:
        file_system, inner = fsspec.core.url_to_fs(path, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        missing = error.name or f"what {protocol} needs"
        raise Misconfigured(
            f"{shown} needs the Python package {missing}, which is not installed",
            remedy=f"Install it (fsspec's extra for {protocol}), then run again",
        ) from error
    except (ValueError, TypeError) as error:
        raise Misconfigured(
            f"{shown} cannot be opened as a {protocol} file system ({type(error).__name__})",
            remedy="Give a local path or an fsspec URL, and its options in the secret storage_options",
        ) from error
    except Exception as error:
        raise _from_file_system(shown, error) from error
    return FeedFolder(file_system, inner, shown)


def _from_file_system(where: str, error: Exception) -> HubError:
    kind = type(error).__name__
    if isinstance(error, PermissionError):
        return Misconfigured(f"{where} may not be read", remedy="Give the hub's user the right to read it")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RetryLater(f"{where} vanished while it was read")
    if "auth" in kind.lower() or "credential" in kind.lower():
        return NeedsReconnect(f"{where} refuses our credentials ({kind})")
    return RetryLater(f"{where} cannot be read now ({kind})")


def list_files(folder: FeedFolder, *, now: datetime) -> tuple[FeedFile, ...]:
    """Return the feed's files by name, numbers in names counted (`9.csv` before `10.csv`).

    A folder gives the files directly in it, but not hidden and unfinished ones; a glob what it matches.
    A path that names nothing gives nothing: whether that is an error is for the caller to say.

    Raises:
        Misconfigured, NeedsReconnect, RetryLater: the folder cannot be listed.
    """
    file_system, path = folder.file_system, folder.path
    try:
        if any(sign in path for sign in "*?["):
            found = list(file_system.glob(path, detail=True).values())
        elif not file_system.exists(path):
            return ()
        elif file_system.isdir(path):
            found = [entry for entry in file_system.ls(path, detail=True) if not _is_unfinished(entry["name"])]
        else:
            found = [file_system.info(path)]
        files = [_described(folder, entry, now) for entry in found if entry["type"] == "file"]
    except Exception as error:
        raise _from_file_system(folder.shown_path, error) from error
    return tuple(sorted(files, key=lambda file: _natural(file.path)))


def is_folder(folder: FeedFolder) -> bool:
    """Return whether the feed's path is a folder that exists.

    Raises:
        Misconfigured, NeedsReconnect, RetryLater: it cannot be told.
    """
    try:
        return bool(folder.file_system.isdir(folder.path))
    except Exception as error:
        raise _from_file_system(folder.shown_path, error) from error


def head_of(source: BinaryIO, file: FeedFile) -> bytes:
    """Return the first four bytes of an open file, from which its form is told.

    Raises:
        BadPayload: there are none: an export that failed. A header alone would say "no sales yet".
    """
    head = source.read(4)
    if not head:
        raise BadPayload(
            f"{file.name} is empty (0 bytes)",
            remedy="Deliver it again with at least its header, or remove it; what was taken of it before stands",
        )
    return head


def _is_unfinished(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def _natural(path: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"[0-9]+|[^0-9]+", path)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _described(folder: FeedFolder, entry: Mapping[str, Any], now: datetime) -> FeedFile:
    mark = next((entry[key] for key in _MARK_KEYS if entry.get(key)), "")
    if isinstance(mark, datetime):
        mark = mark.timestamp()
    if isinstance(mark, int | float) and abs(now.timestamp() - mark) < _SETTLE_SECONDS:
        mark = ""
    return FeedFile(str(entry["name"]), int(entry["size"] or 0), str(mark))


@contextlib.contextmanager
def open_file(folder: FeedFolder, file: FeedFile) -> Iterator[BinaryIO]:
    """Open a file for reading from its first byte, unpacked if it is gzip (by its first bytes, or an empty .gz).

    Raises:
        Misconfigured: it may not be read.
        RetryLater: it vanished, or the file system failed, at any moment of reading.
        BadPayload: its gzip packing is damaged or cut off.
    """
    try:
        opened = folder.file_system.open(file.path, "rb")
    except Exception as error:
        raise _from_file_system(file.name, error) from error
    try:
        with opened as source:
            buffered = io.BufferedReader(source, _BUFFER_BYTES)
            if buffered.peek(2)[:2] != _GZIP_MAGIC:
                yield cast(BinaryIO, buffered)
                return
            with gzip.GzipFile(fileobj=buffered) as unpacked:
                yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER_BYTES))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadPayload(
            f"{file.name} is a damaged or unfinished gzip file ({type(error).__name__})",
            remedy="Deliver it again, whole",
        ) from error
    except OSError as error:
        raise _from_file_system(file.name, error) from error
