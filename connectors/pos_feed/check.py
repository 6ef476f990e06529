"""The connection test of a feed, and a preview of its first receipts.

What belongs here: trying, without taking anything. Not here: the pull itself (`orders`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.pos_feed.auth import storage_options
from connectors.pos_feed.compare import new_state
from connectors.pos_feed.files import (
    FeedFile,
    FeedFolder,
    head_of,
    is_folder,
    list_files,
    open_file,
    open_folder,
)
from connectors.pos_feed.lines import LineReader, text_form
from connectors.pos_feed.pages import ORDERS, PageBuilder, PageHead, split_page
from connectors.pos_feed.parse import parse_order
from connectors.pos_feed.rows import RawRow, Row, read_header, read_rows
from connectors.pos_feed.settings import FeedSettings, read_settings
from oms_hub.channel.contract import ChannelSession, CheckResult
from oms_hub.domain.orders import Order
from oms_hub.errors import BadPayload, HubError

_ROWS_TRIED = 200


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a file as they stand, the receipts they make, and what cannot be read of them."""

    file: str
    header: tuple[str, ...]
    rows: tuple[RawRow, ...]
    orders: tuple[Order, ...]
    problems: tuple[str, ...]


def check(session: ChannelSession) -> Sequence[CheckResult]:
    """Try the feed step by step: settings, path, files, then each newest file's header and first rows."""
    return tuple(_steps(session))


def _steps(session: ChannelSession) -> Iterator[CheckResult]:
    step = "settings"
    try:
        settings = read_settings(session.connection.settings)
        yield CheckResult(step, True, f"{settings.format} in {settings.encoding}")
        step = "path"
        folder = open_folder(settings.path, storage_options(session))
        files = list_files(folder, now=session.clock())
        yield CheckResult(step, True, f"{folder.shown_path} can be reached")
        step = "files"
        yield _files_found(folder, files)
        if not files:
            return
        step = "rows"
        yield _read_well(preview_file(session, folder, files[-1], rows=_ROWS_TRIED))
    except HubError as error:
        yield CheckResult(step, False, error.message, error.remedy)


def _files_found(folder: FeedFolder, files: Sequence[FeedFile]) -> CheckResult:
    if files:
        return CheckResult("files", True, f"{len(files)} found, the last is {files[-1].name}")
    is_there = is_folder(folder)
    return CheckResult(
        "files", is_there, f"no file at {folder.shown_path}" + (" yet" if is_there else ""),
        "Set path to a file, a folder or a glob that matches",
    )  # fmt: skip


def _read_well(seen: Preview) -> CheckResult:
    if seen.problems:
        more = f" (and {len(seen.problems) - 1} more)" if len(seen.problems) > 1 else ""
        return CheckResult("rows", False, seen.problems[0] + more, "Mend the settings or the file")
    if not seen.rows:
        return CheckResult("rows", True, f"{seen.file} has no rows yet")
    return CheckResult(
        "rows", True, f"{len(seen.rows)} rows of {seen.file} make {len(seen.orders)} receipts without a problem"
    )


def preview(session: ChannelSession, rows: int = 5) -> Preview:
    """Return the first rows of the feed's last file (by name), and the receipts they make.

    Raises:
        Misconfigured, BadPayload, RetryLater, NeedsReconnect: as a pull would, with what to do.
    """
    settings = read_settings(session.connection.settings)
    folder = open_folder(settings.path, storage_options(session))
    files = list_files(folder, now=session.clock())
    if not files:
        raise BadPayload(f"there is no file at {folder.shown_path}", remedy="Deliver one, or set another path")
    return preview_file(session, folder, files[-1], rows=rows)


def preview_file(session: ChannelSession, folder: FeedFolder, file: FeedFile, *, rows: int) -> Preview:
    """Return the first rows of one file, and the receipts they make; the last of these may go on behind them.

    Raises:
        Misconfigured, BadPayload, RetryLater: the file cannot be opened or has no usable header.
    """
    settings = read_settings(session.connection.settings)
    with open_file(folder, file) as source:
        form = text_form(head_of(source, file), settings.encoding)
        source.seek(0)
        reader = LineReader(source, form, name=file.name)
        header = _header(reader, settings, file)
        if header is None:
            return Preview(file.name, (), (), (), ())
        taken = list(_first(read_rows(reader, settings, header, file.name), rows))
    head = PageHead(file.name, new_state(file, b"").file_id, settings.format, (0, 1, 0), header)
    builder = PageBuilder(head)
    for row in taken:
        builder.add(row)
    orders, problems = [], []
    for record in split_page(ORDERS, builder.body()):
        try:
            orders.append(parse_order([record.payload], session.connection))
        except BadPayload as error:
            problems.append(error.message)
    raw = tuple(row.content for row in taken if row.content is not None)
    return Preview(file.name, header, raw, tuple(orders), tuple(problems))


def _header(reader: LineReader, settings: FeedSettings, file: FeedFile) -> tuple[str, ...] | None:
    if settings.format == "jsonl":
        return ()
    found = read_header(reader, settings, file.name)
    return None if found is None else tuple(found[0])


def _first(rows: Iterator[Row], count: int) -> Iterator[Row]:
    for row in rows:
        if row.content is None:
            continue
        yield row
        count -= 1
        if count <= 0:
            return
