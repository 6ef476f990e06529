"""Takes the rows of one open file, from where its plan says, page by page.

What belongs here: the loop from rows to pages and the state after each. Not here: which file, and why
(`orders`, `compare`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from connectors.pos_feed.compare import Plan, Reread
from connectors.pos_feed.files import FeedFile
from connectors.pos_feed.lines import LineReader, TextForm
from connectors.pos_feed.pages import PageBuilder, PageHead
from connectors.pos_feed.rows import read_header, read_rows
from connectors.pos_feed.settings import FeedSettings
from connectors.pos_feed.taken import ChunkWriter, FileState, Hasher
from oms_hub.errors import BadPayload


@dataclass(frozen=True, slots=True)
class Taken:
    """A page's body, how many rows it holds (0: nothing to land), and the file's state after it."""

    body: bytes
    row_count: int
    state: FileState


def take_file(
    source: BinaryIO, file: FeedFile, plan: Plan, settings: FeedSettings, form: TextForm, *, is_still: bool
) -> Iterator[Taken]:
    """Yield the pages of a file as its plan says; the last one holds the final state, and perhaps no rows.

    Args:
        source: the file, open; read forward from the place that the plan names.
        file: as listed.
        plan: where to go on, and what to read again before.
        settings: of the feed.
        form: how the file's text is stored.
        is_still: the file has not grown since the last look, so a last line without line end is whole.

    Raises:
        BadPayload: the file cannot be read on; what was yielded before stands.
    """
    place = _Place(source, file, settings, form)
    state, whole_hasher, open_hasher = plan.state, plan.whole_hasher, plan.open_hasher
    if plan.reread is not None:
        for taken in _read_again(place, state, plan.reread):
            yield taken
            state = taken.state
        whole_hasher = open_hasher = None
    yield from _read_on(place, state, open_hasher, whole_hasher, is_still=is_still)


@dataclass(frozen=True, slots=True)
class _Place:
    source: BinaryIO
    file: FeedFile
    settings: FeedSettings
    form: TextForm

    def reader(self, offset: int, line: int) -> LineReader:
        self.source.seek(offset)
        return LineReader(self.source, self.form, name=self.file.name, offset=offset, number=line)

    def builder(self, state: FileState) -> PageBuilder:
        walk = (state.walk, state.walk_from, state.walk_to)
        return PageBuilder(PageHead(self.file.name, state.file_id, self.settings.format, walk, state.header))


def _read_on(
    place: _Place, state: FileState, open_hasher: Hasher | None, whole_hasher: Hasher | None, *, is_still: bool
) -> Iterator[Taken]:
    reader = place.reader(state.taken_bytes, state.taken_lines)
    writer = ChunkWriter(state.chunks, open_hasher, whole_hasher)
    if place.settings.format == "csv" and not state.header:
        header = read_header(reader, place.settings, place.file.name)
        if header is None:
            yield Taken(b"", 0, replace(_seen(state, place.file), is_waiting=place.file.size > 0))
            return
        state = replace(state, header=tuple(header[0]))
        writer.add_bytes(header[1], header[2])
    builder = place.builder(state)
    is_waiting = False
    trouble: BadPayload | None = None
    try:
        for row in read_rows(reader, place.settings, state.header, place.file.name):
            if row.is_cut and not is_still:
                is_waiting = True
                break
            if builder.is_full_before(row):
                state = _after(state, writer, builder)
                yield Taken(builder.body(), builder.row_count, state)
                builder = place.builder(state)
            writer.add(row)
            builder.add(row)
    except BadPayload as error:
        trouble = error
    state = replace(_after(state, writer, builder), is_waiting=is_waiting)
    if trouble is None:
        state = _seen(state, place.file)
    yield Taken(builder.body(), builder.row_count, state)
    if trouble is not None:
        raise trouble


def _seen(state: FileState, file: FeedFile) -> FileState:
    return replace(state, size=file.size, mark=file.mark)


def _after(state: FileState, writer: ChunkWriter, builder: PageBuilder) -> FileState:
    lost = tuple(order_id for order_id in state.lost if order_id not in builder.order_ids) if state.lost else ()
    return replace(state, chunks=writer.chunks(), digest=writer.digest(), lost=lost)


def _read_again(place: _Place, state: FileState, reread: Reread) -> Iterator[Taken]:
    """Read changed chunks again. The state moves only with the last page: after a crash all of it is read again."""
    before, changed = state.chunks[: reread.first], state.chunks[reread.first : reread.last + 1]
    behind = state.chunks[reread.last + 1 :]
    end, walk_from = changed[-1].end, before[-1].line + 1
    again = replace(state, walk=state.walk + 1, walk_from=walk_from, walk_to=changed[-1].line)
    reader = place.reader(before[-1].end, before[-1].line)
    writer = ChunkWriter(before, None, None)
    builder = place.builder(again)
    for row in read_rows(reader, place.settings, state.header, place.file.name):
        if builder.is_full_before(row):
            yield Taken(builder.body(), builder.row_count, state)
            builder = place.builder(again)
        writer.add(row)
        builder.add(row)
        if writer.end >= end:
            break
    chunks = writer.chunks()
    found = {order_id for chunk in chunks[reread.first :] for order_id in chunk.order_ids or ()}
    lost = {order_id for chunk in changed for order_id in chunk.order_ids or ()} - found
    if writer.end == end:
        chunks = (*chunks, *behind)
    else:
        again = replace(again, walk_to=0)
        lost |= {order_id for chunk in behind for order_id in chunk.order_ids or ()} - found
    again = replace(again, chunks=chunks, digest="", lost=tuple(sorted({*state.lost, *lost})))
    yield Taken(builder.body(), builder.row_count, again)
