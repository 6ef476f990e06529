"""Physical lines of a file with their byte offsets, in any encoding, one at a time.

What belongs here: bytes to text. Not here: cells (`rows`), what was taken before (`taken`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

from oms_hub.errors import BadPayload

MAX_LINE_BYTES = 1024 * 1024
_BOMS = {
    "utf-16": ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")),
    "utf-32": ((b"\xff\xfe\x00\x00", "utf-32-le"), (b"\x00\x00\xfe\xff", "utf-32-be")),
}
_UTF_8_BOM = b"\xef\xbb\xbf"
_NEWLINES = {
    "utf-16-le": b"\n\0", "utf-16-be": b"\0\n", "utf-32-le": b"\n\0\0\0", "utf-32-be": b"\0\0\0\n",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line: its text with its line end, its bytes as they stand, and where it is."""

    number: int
    text: str
    raw: bytes
    is_cut: bool
    """True for a last line without line end: whoever writes the file may still be writing it."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """How the text of one file is stored: the codec without byte order mark, and that mark's length."""

    codec: str
    newline: bytes
    bom_bytes: int


def text_form(head: bytes, encoding: str) -> TextForm:
    """Return how a file is stored, from its first bytes and the encoding that was set.

    Args:
        head: the file's first bytes, four or more where it has them.
        encoding: the name of a Python codec.
    """
    codec, bom_bytes = encoding, 0
    if encoding in _BOMS:
        codec = f"{encoding}-le"
        for bom, name in _BOMS[encoding]:
            if head.startswith(bom):
                codec, bom_bytes = name, len(bom)
                break
    elif encoding in {"utf-8", "utf-8-sig"}:
        codec, bom_bytes = "utf-8", len(_UTF_8_BOM) if head.startswith(_UTF_8_BOM) else 0
    return TextForm(codec, _NEWLINES.get(codec, b"\n"), bom_bytes)


class LineReader:
    """Reads lines from an open file that stands at `offset`, just behind line `number`.

    Args:
        source: buffered binary file.
        form: how its text is stored.
        name: the file's name, for messages.
        offset: bytes of the file that lie before.
        number: lines that lie before.
    """

    def __init__(self, source: BinaryIO, form: TextForm, *, name: str, offset: int = 0, number: int = 0) -> None:
        self._source = source
        self._form = form
        self._name = name
        self._offset = offset
        self._number = number
        self._given_back: deque[Line] = deque()

    def next_line(self) -> Line | None:
        """Return the next line, None at the end.

        Raises:
            BadPayload: the bytes are not text in the encoding that was set, or no line ends for a megabyte.
        """
        if self._given_back:
            return self._given_back.popleft()
        raw = self._read_raw()
        if not raw:
            return None
        text = self._decode(raw)
        self._offset += len(raw)
        self._number += 1
        return Line(self._number, text, raw, is_cut=not raw.endswith(self._form.newline))

    def give_back(self, lines: list[Line]) -> None:
        """Take lines back, in their order: they are the next ones again."""
        self._given_back.extendleft(reversed(lines))

    def _read_raw(self) -> bytes:
        newline = self._form.newline
        raw = self._source.readline(MAX_LINE_BYTES)
        if len(newline) > 1:
            raw = self._read_wide(raw)
        if len(raw) >= MAX_LINE_BYTES and not raw.endswith(newline):
            raise self._not_text(f"no line ends within {MAX_LINE_BYTES} bytes")
        return raw

    def _read_wide(self, raw: bytes) -> bytes:
        newline = self._form.newline
        while True:
            raw += self._source.read(-len(raw) % len(newline))
            if raw.endswith(newline) or len(raw) >= MAX_LINE_BYTES:
                return raw
            more = self._source.readline(MAX_LINE_BYTES)
            if not more:
                return raw
            raw += more

    def _decode(self, raw: bytes) -> str:
        skipped = self._form.bom_bytes if self._offset == 0 else 0
        try:
            text = raw[skipped:].decode(self._form.codec)
        except UnicodeDecodeError as error:
            raise BadPayload(
                f"{self._name} is not {self._form.codec} at byte {self._offset + skipped + error.start}, "
                f"line {self._number + 1}",
                remedy="Set encoding to what the file is written in; rows before this place were taken",
            ) from error
        if "\0" in text:
            raise self._not_text("it holds zero bytes")
        return text

    def _not_text(self, why: str) -> BadPayload:
        return BadPayload(
            f"{self._name} is no text in {self._form.codec} at byte {self._offset}, line {self._number + 1}: {why}",
            remedy="Remove it from the feed's path, or set encoding to what it is written in",
        )
