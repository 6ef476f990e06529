"""The order source of a POS feed: walks the files and yields what is new in them as raw pages.

What belongs here: the walk over files, and what becomes of files that cannot be taken. Not here: taking
one file (`take`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from connectors.pos_feed.auth import storage_options
from connectors.pos_feed.compare import Plan, plan_known, plan_new
from connectors.pos_feed.files import (
    FeedFile,
    FeedFolder,
    head_of,
    is_folder,
    list_files,
    open_file,
    open_folder,
)
from connectors.pos_feed.lines import text_form
from connectors.pos_feed.pages import ORDERS, TOMBSTONES, empty_body, tombstones_body
from connectors.pos_feed.settings import FeedSettings, read_settings
from connectors.pos_feed.take import take_file
from connectors.pos_feed.taken import FeedCursor, FileState, from_json, new_hasher, settled, to_json
from oms_hub.channel.contract import ChannelSession, Notice, PullRequest, RawPage
from oms_hub.errors import BadPayload, HubError, Misconfigured, NeedsReconnect, RetryLater

_KEPT_IN_DETAIL = 20
"""Newest files (by name) that keep their chunks; older ones, once unchanged, are remembered by one hash."""


@dataclass(frozen=True, slots=True)
class _Failure:
    file: FeedFile
    error: HubError


def order_source(session: ChannelSession, request: PullRequest) -> Iterator[RawPage]:
    """Yield the rows that are new since the cursor: new files, what growing files gained, what changed in them.

    Every file is tried; those that cannot be taken are told together at the end, when all others are taken, so that
    nothing is lost and such a pull is never green. `placed_from` is not looked at: files are taken whole. A full pull
    compares every byte with what was taken, where others trust size and time of a file; what landed lands once.

    Args:
        session: the connection and what opens its file system.
        request: the cursor, and whether to trust nothing but bytes.

    Raises:
        Misconfigured: the path names nothing, or a file may not be read.
        BadPayload: a file is not what the settings say (columns, encoding, binary ...), or has no bytes at all.
        NeedsReconnect, RetryLater: the file system refuses us, or cannot be reached now.
    """
    settings = read_settings(session.connection.settings)
    folder = open_folder(settings.path, storage_options(session))
    files = list_files(folder, now=session.clock())
    walk = _Walk(folder, settings, from_json(request.cursor), is_full=request.is_full)
    walk.start(files)
    for file in files:
        yield from walk.take(file)
    yield from walk.finish(files)


class _Walk:
    """One walk over the files: the cursor as it moves, notices not yet told, files that failed."""

    def __init__(self, folder: FeedFolder, settings: FeedSettings, cursor: FeedCursor, *, is_full: bool) -> None:
        self._folder = folder
        self._settings = settings
        self._form = settings.form()
        self._cursor = cursor
        self._told = to_json(cursor)
        self._is_full = is_full
        self._notices: tuple[Notice, ...] = ()
        self._failures: list[_Failure] = []

    def start(self, files: Sequence[FeedFile]) -> None:
        """Note which files are gone; say so if there is nothing, and never was."""
        if not files and not self._cursor.files and not self._cursor.past and not is_folder(self._folder):
            raise Misconfigured(
                f"there is no file at {self._folder.shown_path}",
                remedy="Set path to a file, an existing folder or a glob that matches",
            )
        listed = {file.path for file in files}
        self._cursor = self._cursor.without([path for path in self._cursor.files if path not in listed])

    def take(self, file: FeedFile) -> Iterator[RawPage]:
        """Yield what is new in one file; note it if it cannot be taken."""
        state = self._cursor.files.get(file.path)
        if state is not None and not self._is_full and self._is_untouched(file, state):
            yield from self._believe_lost(file, state)
            return
        try:
            yield from self._take_changed(file, state)
        except NeedsReconnect:
            raise
        except HubError as error:
            self._failures.append(_Failure(file, error))

    def _is_untouched(self, file: FeedFile, state: FileState) -> bool:
        is_same = file.mark != "" and (file.size, file.mark) == (state.size, state.mark)
        return is_same and not state.is_waiting and state.form == self._form

    def _take_changed(self, file: FeedFile, state: FileState | None) -> Iterator[RawPage]:
        with open_file(self._folder, file) as source:
            form = text_form(head_of(source, file), self._settings.encoding)
            if state is None or not state.chunks:
                known = [*self._cursor.past, *(one for path, one in self._cursor.files.items() if path != file.path)]
                plan = plan_new(source, file, [one for one in known if one.form == self._form])
            elif state.form != self._form:
                plan = _from_the_start(file, state)
            else:
                plan = plan_known(source, file, state, newline_bytes=len(form.newline))
            if plan.replaced is not None:
                self._cursor = self._cursor.with_past(plan.replaced)
            self._notices += plan.notices
            is_still = state is not None and state.is_waiting and state.size == file.size
            plan = replace(plan, state=replace(plan.state, form=self._form))
            for taken in take_file(source, file, plan, self._settings, form, is_still=is_still):
                self._cursor = self._cursor.with_file(file.path, taken.state)
                if taken.row_count:
                    yield self._page(ORDERS, taken.body, taken.row_count)
        if not plan.notices:
            yield from self._believe_lost(file, self._cursor.files[file.path])

    def _believe_lost(self, file: FeedFile, state: FileState) -> Iterator[RawPage]:
        """Tell which receipts are gone from a file, once a second look found the file as the first left it."""
        if not state.lost:
            return
        elsewhere = {
            order_id
            for one in self._cursor.files.values()
            for chunk in one.chunks
            for order_id in chunk.order_ids or ()
        }
        gone = sorted(set(state.lost) - elsewhere)
        self._cursor = self._cursor.with_file(file.path, replace(state, lost=()))
        if gone:
            self._notices += tuple(
                Notice("source_changed", f"{file.name}:{order_id}", f"receipt {order_id} was deleted from {file.name}")
                for order_id in gone
            )
            yield self._page(TOMBSTONES, tombstones_body(gone), 0)

    def finish(self, files: Sequence[FeedFile]) -> Iterator[RawPage]:
        """Tell what is left to tell, then raise if files could not be taken."""
        for file in files[:-_KEPT_IN_DETAIL]:
            state = self._cursor.files.get(file.path)
            if state is not None and self._is_untouched(file, state) and not state.lost:
                self._cursor = self._cursor.with_file(file.path, settled(state))
        if self._notices or to_json(self._cursor) != self._told:
            yield self._page(ORDERS, empty_body(), 0)
        if self._failures:
            raise _summary(self._failures, len(files))

    def _page(self, kind: str, body: bytes, row_count: int) -> RawPage:
        self._told = to_json(self._cursor)
        notices, self._notices = self._notices, ()
        return RawPage(kind, body, self._told, source_line_count=row_count, notices=notices)


def _from_the_start(file: FeedFile, state: FileState) -> Plan:
    """Return the plan that takes a known file again from its first line: the settings cut it differently now."""
    lost = tuple(sorted({*state.lost, *(one for chunk in state.chunks for one in chunk.order_ids or ())}))
    start = replace(
        state, walk=state.walk + 1, walk_from=1, walk_to=0, chunks=(), header=(), digest="", lost=lost, is_waiting=False
    )
    notice = Notice(
        "source_changed", file.name, f"{file.name} was taken again from its first line, as the settings changed"
    )
    return Plan(start, whole_hasher=new_hasher(), notices=(notice,))


def _summary(failures: Sequence[_Failure], file_count: int) -> HubError:
    """Return one error for all files that could not be taken; a lasting trouble outweighs a passing one."""
    worst = next((one.error for one in failures if not isinstance(one.error, RetryLater)), failures[0].error)
    if len(failures) == 1:
        return worst
    told = "; ".join(one.error.message for one in failures[:5])
    more = f"; and {len(failures) - 5} more" if len(failures) > 5 else ""
    message = f"{len(failures)} of {file_count} files could not be taken: {told}{more}"
    kind = next(kind for kind in (BadPayload, Misconfigured, RetryLater) if isinstance(worst, kind))
    return kind(message, remedy=worst.remedy)
