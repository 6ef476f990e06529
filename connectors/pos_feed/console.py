"""How a feed is connected in the console: a guide, and the first rows before anybody said which column is what.

What belongs here: looking without taking. Not here: the pull (`orders`), the test of a finished feed (`check`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from connectors.pos_feed.auth import storage_options
from connectors.pos_feed.check import preview_file
from connectors.pos_feed.files import FeedFile, FeedFolder, list_files, open_file, open_folder
from connectors.pos_feed.settings import FIELDS, REQUIRED_FIELDS, FeedSettings, read_settings
from oms_hub.channel.connecting import ConnectGuide, FeedPreview, FileFeed, GuideText
from oms_hub.channel.contract import ChannelSession
from oms_hub.errors import BadPayload, HubError

_HEAD_BYTES = 64 * 1024
_ROWS = 5
_LONGEST_CELL = 80
_MOST_COLUMNS = 60


def preview(session: ChannelSession) -> FeedPreview:
    """Return the first rows of the newest file as text, and what the settings make of them so far.

    Raises:
        Misconfigured, BadPayload, RetryLater, NeedsReconnect: as a pull would, with what to do.
    """
    settings = read_settings(session.connection.settings)
    folder = open_folder(settings.path, storage_options(session))
    files = list_files(folder, now=session.clock())
    if not files:
        raise BadPayload("there is no file yet", remedy="Deliver one, or give another path")
    newest = files[-1]
    columns, rows = _head(folder, newest, settings)
    try:
        seen = preview_file(session, folder, newest, rows=_ROWS)
    except HubError as error:
        return FeedPreview(newest.name, columns, rows, problems=(error.message,))
    return FeedPreview(newest.name, columns, rows, len(seen.orders), seen.problems)


def _head(folder: FeedFolder, file: FeedFile, settings: FeedSettings) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the column names and the first rows, whatever they mean."""
    with open_file(folder, file) as source:
        text = source.read(_HEAD_BYTES).decode(settings.encoding, errors="replace").lstrip("\ufeff")
    lines = text.splitlines(keepends=True)
    if settings.format == "jsonl":
        return _json_head(lines, file.name)
    cells = list(islice(csv.reader(io.StringIO("".join(lines)), delimiter=settings.delimiter), _ROWS + 1))
    shown = [[cell.strip()[:_LONGEST_CELL] for cell in row[:_MOST_COLUMNS]] for row in cells]
    return (shown[0], shown[1:]) if shown else ((), ())


def _json_head(lines: Sequence[str], name: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    try:
        found: list[Any] = [json.loads(line) for line in lines[:_ROWS] if line.strip()]
    except ValueError:
        raise BadPayload(
            f"{name} is not jsonl", remedy="Set format to csv, or deliver one JSON object a line"
        ) from None
    records = [each for each in found if isinstance(each, dict)]
    columns = list(dict.fromkeys(str(key) for each in records for key in each))[:_MOST_COLUMNS]
    return columns, [[str(each.get(column, ""))[:_LONGEST_CELL] for column in columns] for each in records]


FEED = FileFeed(
    path_setting="path", mapping_setting="columns", fields=FIELDS, required=REQUIRED_FIELDS, preview=preview
)

GUIDE = ConnectGuide(
    first=("path", "format", "delimiter", "decimal", "datetime_format"),
    texts={
        "en": GuideText(
            needs="Sales files of your tills, csv or jsonl, in a folder on this machine or on a file server.",
            where=(
                "Have the till, or its back office, write its receipts into a file that grows or into a file a day.",
                "Bring the files into your folder here, or give their place on a file server (sftp://, s3://).",
                "Choose Show the first rows, then say which column is what.",
            ),
            use=(
                "It reads new rows and makes orders of them; it never changes or deletes a file.",
                "Sold goods leave the stock that your other channels are offered.",
            ),
            labels={
                "path": "Files", "format": "Form", "delimiter": "Between cells", "decimal": "Decimal mark",
                "datetime_format": "How dates are written", "encoding": "Encoding", "currency": "Currency",
                "time_zone": "Time zone", "storage_options": "Access to the file server (JSON)",
            },
        ),
        "es": GuideText(
            needs="Archivos de ventas de tus cajas, csv o jsonl, en una carpeta de esta máquina o de un servidor.",
            where=(
                "Haz que la caja, o su sistema central, escriba sus tickets en un archivo que crece o en uno por día.",
                "Lleva los archivos a tu carpeta aquí, o da su lugar en un servidor (sftp://, s3://).",
                "Elige Ver las primeras filas, y di qué columna es qué.",
            ),
            use=(
                "Lee las filas nuevas y las convierte en pedidos; nunca cambia ni borra un archivo.",
                "Lo vendido sale de las existencias que se ofrecen en tus otros canales.",
            ),
            labels={
                "path": "Archivos", "format": "Formato", "delimiter": "Entre celdas", "decimal": "Signo decimal",
                "datetime_format": "Cómo se escriben las fechas", "encoding": "Codificación", "currency": "Moneda",
                "time_zone": "Zona horaria", "storage_options": "Acceso al servidor de archivos (JSON)",
            },
        ),
    },
)  # fmt: skip
