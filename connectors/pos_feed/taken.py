"""What was taken of each file: the cursor of the feed.

A file's taken part is remembered as chunks, each ending at the end of a receipt, with a hash of its bytes. Chunks
grow with the file, so that even a huge one has a few hundred. They find the place of a change, and the bytes that a
growing file goes on from.

What belongs here: the cursor's data and its JSON form. Not here: reading files (`compare`, `orders`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from connectors.pos_feed.rows import Row

Hasher: TypeAlias = "hashlib.blake2b"
CURSOR_VERSION = 1
REMEMBERED_IDS = 2000
"""Receipts of one file whose ids are remembered, newest first, so that their deletion can be told by name."""
REMEMBERED_PAST = 500
"""Replaced or vanished files that are remembered, newest first, so that a copy of one is not taken again."""
_SMALLEST_CHUNK = 8192
_CHUNK_SHARE = 32


def new_hasher() -> Hasher:
    """Return the hash that file contents are remembered by."""
    return hashlib.blake2b(digest_size=16)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a file that was taken: it ends at byte `end`, which ends line `line`."""

    end: int
    line: int
    digest: str
    order_ids: tuple[str, ...] | None = None
    """The receipts in it, None where they are no longer remembered."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What is known of one file.

    Attributes:
        file_id: stays with the file while it grows or is renamed; stands in every raw page.
        head_bytes, head_digest: its first lines, to tell an edited file from another one.
        form: the settings that it was cut into rows and receipts by.
        size, mark: as the file system told them when it was last looked at.
        walk: how often parts of it had to be read again because they changed.
        walk_from, walk_to: the lines that the latest such walk replaces (`walk_to` 0: to the end).
        is_waiting: its last line has no end yet and is not taken.
        lost: receipts that its latest change removed; believed when the next look finds no further change.
    """

    file_id: str
    head_bytes: int
    head_digest: str
    form: str = ""
    size: int = 0
    mark: str = ""
    walk: int = 0
    walk_from: int = 1
    walk_to: int = 0
    is_waiting: bool = False
    header: tuple[str, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    digest: str = ""
    """Hash of all that was taken, empty where it is not known."""
    lost: tuple[str, ...] = ()

    @property
    def taken_bytes(self) -> int:
        """Return how many bytes (unpacked) were taken."""
        return self.chunks[-1].end if self.chunks else 0

    @property
    def taken_lines(self) -> int:
        """Return how many physical lines were taken."""
        return self.chunks[-1].line if self.chunks else 0


@dataclass(frozen=True, slots=True)
class FeedCursor:
    """All files by path, and files that are no longer where they were."""

    files: Mapping[str, FileState] = field(default_factory=dict)
    past: tuple[FileState, ...] = ()

    def with_file(self, path: str, state: FileState) -> FeedCursor:
        """Return the cursor with one file's state replaced."""
        return FeedCursor({**self.files, path: state}, self.past)

    def with_past(self, state: FileState) -> FeedCursor:
        """Return the cursor that also remembers a file that is no longer there."""
        others = [one for one in self.past if one.file_id != state.file_id]
        return FeedCursor(self.files, (*others, settled(state))[-REMEMBERED_PAST:])

    def without(self, paths: Sequence[str]) -> FeedCursor:
        """Return the cursor with these files moved to the past."""
        cursor = FeedCursor({path: state for path, state in self.files.items() if path not in paths}, self.past)
        for path in paths:
            cursor = cursor.with_past(self.files[path])
        return cursor


def settled(state: FileState) -> FileState:
    """Return the short form of a state, for a file that is not expected to change: one chunk, no receipts' ids."""
    if not state.digest:
        return replace(state, chunks=tuple(replace(chunk, order_ids=None) for chunk in state.chunks))
    return replace(state, chunks=(Chunk(state.taken_bytes, state.taken_lines, state.digest),))


def to_json(cursor: FeedCursor) -> dict[str, Any]:
    """Return the cursor as plain JSON."""
    return {
        "version": CURSOR_VERSION,
        "files": {path: _state_to_json(state) for path, state in cursor.files.items()},
        "past": [_state_to_json(state) for state in cursor.past],
    }


def from_json(position: Mapping[str, Any]) -> FeedCursor:
    """Return the cursor that `to_json` wrote; empty means nothing was taken yet."""
    files = {path: _state_from_json(state) for path, state in position.get("files", {}).items()}
    return FeedCursor(files, tuple(_state_from_json(state) for state in position.get("past", [])))


def _state_to_json(state: FileState) -> dict[str, Any]:
    return {
        "id": state.file_id,
        "head": [state.head_bytes, state.head_digest],
        "form": state.form,
        "seen": [state.size, state.mark],
        "walk": [state.walk, state.walk_from, state.walk_to],
        "waiting": state.is_waiting,
        "header": list(state.header),
        "chunks": [
            [chunk.end, chunk.line, chunk.digest, None if chunk.order_ids is None else list(chunk.order_ids)]
            for chunk in state.chunks
        ],
        "digest": state.digest,
        "lost": list(state.lost),
    }


def _state_from_json(state: Mapping[str, Any]) -> FileState:
    return FileState(
        file_id=state["id"],
        head_bytes=state["head"][0],
        head_digest=state["head"][1],
        form=state["form"],
        size=state["seen"][0],
        mark=state["seen"][1],
        walk=state["walk"][0],
        walk_from=state["walk"][1],
        walk_to=state["walk"][2],
        is_waiting=state["waiting"],
        header=tuple(state["header"]),
        chunks=tuple(
            Chunk(end, line, digest, None if ids is None else tuple(ids)) for end, line, digest, ids in state["chunks"]
        ),
        digest=state["digest"],
        lost=tuple(state["lost"]),
    )


class ChunkWriter:
    """Builds the chunks of a stretch of a file while its rows are taken.

    Args:
        before: chunks that stand already; the last of them is gone on with.
        open_hasher: the hash of that last chunk's bytes, to go on with; None to start a new chunk.
        whole_hasher: the hash of all bytes before, None where it is not known.
    """

    def __init__(self, before: Sequence[Chunk], open_hasher: Hasher | None, whole_hasher: Hasher | None) -> None:
        self._closed = list(before)
        last = before[-1] if before else None
        self._whole = whole_hasher
        self._end = last.end if last else 0
        self._line = last.line if last else 0
        self._start = self._end
        self._hasher = new_hasher()
        self._ids: dict[str, None] = {}
        self._is_forgotten = False
        self._last_id: str | None = None
        if last is not None and open_hasher is not None:
            self._closed.pop()
            self._start = self._closed[-1].end if self._closed else 0
            self._hasher = open_hasher
            self._is_forgotten = last.order_ids is None
            self._ids = dict.fromkeys(last.order_ids or ())
            self._last_id = next(reversed(self._ids), None)

    def add(self, row: Row) -> None:
        """Take one row; a full chunk is closed where a new receipt begins."""
        is_full = self._end - self._start >= max(_SMALLEST_CHUNK, self._end // _CHUNK_SHARE)
        is_unfinished = row.is_cut and self._end > self._start
        if (is_full and row.order_id is not None and row.order_id != self._last_id) or is_unfinished:
            self.close()
        self.add_bytes(row.raw, row.last_line)
        if row.order_id is not None and row.order_id != self._last_id:
            self._ids[row.order_id] = None
            self._last_id = row.order_id

    def add_bytes(self, raw: bytes, line: int) -> None:
        """Take bytes that are no row of a receipt (the header)."""
        self._hasher.update(raw)
        if self._whole is not None:
            self._whole.update(raw)
        self._end += len(raw)
        self._line = line

    @property
    def end(self) -> int:
        """Return the byte behind the last one taken."""
        return self._end

    def digest(self) -> str:
        """Return the hash of all that was taken, empty where it is not known."""
        return "" if self._whole is None else self._whole.hexdigest()

    def close(self) -> None:
        """End the open chunk here."""
        self._closed.append(self._open_chunk())
        self._start = self._end
        self._hasher = new_hasher()
        self._ids = {}
        self._is_forgotten = False

    def chunks(self) -> tuple[Chunk, ...]:
        """Return the chunks so far, the open one as it stands; old receipts' ids are forgotten."""
        chunks = [*self._closed, self._open_chunk()] if self._end > self._start else list(self._closed)
        remembered = 0
        for index in range(len(chunks) - 1, -1, -1):
            remembered += len(chunks[index].order_ids or ())
            if remembered > REMEMBERED_IDS and chunks[index].order_ids is not None:
                chunks[index] = replace(chunks[index], order_ids=None)
        self._closed = chunks[: len(self._closed)]
        return tuple(chunks)

    def _open_chunk(self) -> Chunk:
        ids = None if self._is_forgotten else tuple(self._ids)
        return Chunk(self._end, self._line, self._hasher.hexdigest(), ids)
