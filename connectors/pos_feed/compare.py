"""A file against what was taken of it: grown, changed, replaced, a copy, or a known file under a new name.

What belongs here: comparing bytes and saying what to read next. Not here: rows and pages (`orders`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from connectors.pos_feed.files import FeedFile
from connectors.pos_feed.taken import Chunk, FileState, Hasher, new_hasher
from oms_hub.channel.contract import Notice

_BLOCK_BYTES = 256 * 1024
_HEAD_BYTES = 64 * 1024
_HEAD_LINES = 2
_LINE_ENDS = (b"\r", b"\n")
_ENDED = (b"\n", b"\0")
"""Last bytes of a line end, in the encodings of one byte and of more (`\\n\\0` in UTF-16)."""


@dataclass(frozen=True, slots=True)
class Reread:
    """Chunks `first` to `last` changed where they stand; all else is as it was taken."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a file.

    Attributes:
        state: where to go on: its chunks stand, everything behind them is read.
        open_hasher: the hash of the last chunk, to go on with.
        whole_hasher: the hash of all that was taken, to go on with; None where it is not known.
        reread: a stretch in the middle to read again first, None where there is none.
        notices: what a person should know.
        replaced: the file that stood under this name before, None where it is the same one.
    """

    state: FileState
    open_hasher: Hasher | None = None
    whole_hasher: Hasher | None = None
    reread: Reread | None = None
    notices: tuple[Notice, ...] = ()
    replaced: FileState | None = None


@dataclass(frozen=True, slots=True)
class _Comparison:
    is_same: tuple[bool, ...]
    newlines: tuple[int, ...]
    is_shorter: bool
    open_hasher: Hasher | None
    whole_hasher: Hasher

    @property
    def is_all_same(self) -> bool:
        return all(self.is_same) and not self.is_shorter


def plan_new(source: BinaryIO, file: FeedFile, known: Iterable[FileState]) -> Plan:
    """Say what to do with a path that was never seen: a new file, or one that is known by its content.

    A file that begins with all that was taken of a known one is that file, copied or renamed, perhaps grown since:
    only what is behind counts. Of several the longest wins.
    """
    head = read_head(source)
    candidates = [state for state in known if state.chunks and digest_of(head[: state.head_bytes]) == state.head_digest]
    for state in sorted(candidates, key=lambda one: one.taken_bytes, reverse=True):
        comparison = _compare(source, state.chunks)
        if comparison.is_all_same and not _behind_unended_row(source, state):
            return Plan(replace(state, is_waiting=False), comparison.open_hasher, comparison.whole_hasher)
    return Plan(new_state(file, head), whole_hasher=new_hasher())


def plan_known(source: BinaryIO, file: FeedFile, state: FileState, *, newline_bytes: int) -> Plan:
    """Say what to do with a file that was taken before and may have grown or changed since.

    Args:
        source: the file, open.
        file: as it is listed now.
        state: what was taken of it.
        newline_bytes: bytes of a line end; a change in the middle is found only where it is 1.
    """
    comparison = _compare(source, state.chunks)
    if comparison.is_all_same:
        following = _behind_unended_row(source, state)
        if not following:
            return Plan(state, comparison.open_hasher, comparison.whole_hasher)
        if following[:1] in _LINE_ENDS:
            return _without_last_chunk(source, state)
    head = read_head(source)
    if digest_of(head[: state.head_bytes]) != state.head_digest:
        notice = Notice(
            "source_changed", file.name,
            f"{file.name} was replaced by another file under its name; it is taken as a new one",
        )  # fmt: skip
        return Plan(new_state(file, head), whole_hasher=new_hasher(), notices=(notice,), replaced=state)
    first, last = _changed_range(comparison)
    if newline_bytes == 1 and _is_in_place(comparison, state.chunks, first, last):
        notice = _changed(file, state.chunks, first, last)
        return Plan(state, reread=Reread(first, last), notices=(notice,))
    return _plan_tail(source, file, state, first)


def _plan_tail(source: BinaryIO, file: FeedFile, state: FileState, first: int) -> Plan:
    kept = state.chunks[:first]
    lost = {order_id for chunk in state.chunks[first:] for order_id in chunk.order_ids or ()}
    tail = replace(
        state,
        walk=state.walk + 1,
        walk_from=(kept[-1].line if kept else 0) + 1,
        walk_to=0,
        is_waiting=False,
        chunks=kept,
        lost=tuple(sorted({*state.lost, *lost})),
    )
    comparison = _compare(source, kept)
    notice = _changed(file, state.chunks, first, len(state.chunks) - 1)
    return Plan(tail, comparison.open_hasher, comparison.whole_hasher, notices=(notice,))


def _without_last_chunk(source: BinaryIO, state: FileState) -> Plan:
    """Take the last row again: it was taken without its line end, which came since."""
    kept = replace(state, chunks=state.chunks[:-1])
    comparison = _compare(source, kept.chunks)
    return Plan(kept, comparison.open_hasher, comparison.whole_hasher)


def new_state(file: FeedFile, head: bytes) -> FileState:
    """Return the state of a file of which nothing was taken yet."""
    digest = digest_of(head)
    return FileState(digest_of(f"{file.path}\n{digest}".encode())[:16], len(head), digest)


def read_head(source: BinaryIO) -> bytes:
    """Return the file's first two lines (at most 64 KB), by which it is told from another one."""
    source.seek(0)
    block = source.read(_HEAD_BYTES)
    end = 0
    for _ in range(_HEAD_LINES):
        found = block.find(b"\n", end)
        if found < 0:
            return block
        end = found + 1
    return block[:end]


def digest_of(content: bytes) -> str:
    """Return the hash of some bytes, in hexadecimal."""
    hasher = new_hasher()
    hasher.update(content)
    return hasher.hexdigest()


def _compare(source: BinaryIO, chunks: Sequence[Chunk]) -> _Comparison:
    source.seek(0)
    is_same, newlines = [], []
    hasher: Hasher | None = None
    whole = new_hasher()
    position, is_shorter = 0, False
    for chunk in chunks:
        hasher, count = new_hasher(), 0
        while position < chunk.end and (block := source.read(min(_BLOCK_BYTES, chunk.end - position))):
            hasher.update(block)
            whole.update(block)
            count += block.count(b"\n")
            position += len(block)
        is_shorter = position < chunk.end
        is_same.append(hasher.hexdigest() == chunk.digest)
        newlines.append(count)
    return _Comparison(tuple(is_same), tuple(newlines), is_shorter, hasher, whole)


def _behind_unended_row(source: BinaryIO, state: FileState) -> bytes:
    """Return what follows the taken part where its last row had no line end; empty where all is well."""
    source.seek(state.taken_bytes - 1)
    around = source.read(4)
    return b"" if around[:1] in _ENDED else around[1:].lstrip(b"\0")


def _changed_range(comparison: _Comparison) -> tuple[int, int]:
    changed = [index for index, same in enumerate(comparison.is_same) if not same]
    return (changed[0], changed[-1]) if changed else (len(comparison.is_same) - 1,) * 2


def _is_in_place(comparison: _Comparison, chunks: Sequence[Chunk], first: int, last: int) -> bool:
    if comparison.is_shorter or last == len(chunks) - 1 or first == 0:
        return False
    return all(
        comparison.newlines[index] == chunks[index].line - chunks[index - 1].line for index in range(first, last + 1)
    )


def _changed(file: FeedFile, chunks: Sequence[Chunk], first: int, last: int) -> Notice:
    from_line = (chunks[first - 1].line if first else 0) + 1
    return Notice(
        "source_changed",
        f"{file.name}:{from_line}-{chunks[last].line}",
        f"{file.name} changed after it was taken, between lines {from_line} and {chunks[last].line}; "
        "its receipts from there were read again",
    )
