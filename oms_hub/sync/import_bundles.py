"""Bundles from a CSV file: bundle,component,units; all of it or nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from oms_hub.errors import Misconfigured
from oms_hub.store.bundles import set_bundles
from oms_hub.store.merchants import get_merchant
from oms_hub.sync.hub import Hub

_HEADER = ["bundle", "component", "units"]


def import_bundles(hub: Hub, merchant: str, path: Path) -> int:
    """Read a file and say what its bundles are made of; return how many bundles it names.

    Raises:
        Misconfigured: the merchant is unknown, the file cannot be read, a line is odd, or a bundle cannot be so; the
            text names the line, and nothing is changed.
    """
    bundles: dict[str, dict[str, int]] = {}
    for line, bundle, component, units in _rows(path):
        parts = bundles.setdefault(bundle, {})
        if component in parts:
            raise Misconfigured(f"{path.name} line {line}: {component} stands twice in {bundle}", remedy="Add them up")
        parts[component] = units
    if not bundles:
        raise Misconfigured(f"{path.name} names no bundle", remedy=f"Give lines of {','.join(_HEADER)}")
    with hub.store.begin() as tx:
        return set_bundles(tx, get_merchant(tx, merchant).merchant_id, bundles)


def _rows(path: Path) -> Iterator[tuple[int, str, str, int]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True, skipinitialspace=True)
            if [name.strip().lower() for name in next(reader, [])] != _HEADER:
                raise Misconfigured(f"The first line of {path.name} must be {','.join(_HEADER)}", remedy="Correct it")
            for fields in reader:
                if any(value.strip() for value in fields):
                    yield reader.line_num, *_row(path, reader.line_num, fields)
    except OSError as error:
        raise Misconfigured(f"{path.name} cannot be read: {error.strerror}", remedy="Correct the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise Misconfigured(f"{path.name} is no CSV file in UTF-8", remedy="Save it as CSV (UTF-8)") from None


def _row(path: Path, line: int, fields: list[str]) -> tuple[str, str, int]:
    values = [value.strip() for value in fields]
    if len(values) != len(_HEADER) or not all(values):
        raise Misconfigured(f"{path.name} line {line}: not {','.join(_HEADER)}", remedy="Correct the line")
    return values[0], values[1], whole_units(values[2], f"{path.name} line {line}")


def whole_units(value: str, where: str) -> int:
    """Return a number of units as a person wrote it.

    Raises:
        Misconfigured: it is no whole number of 1 or more.
    """
    if not re.fullmatch("[0-9]{1,9}", value) or int(value) < 1:
        raise Misconfigured(f"{where}: {value[:40]!r} is no whole number of units", remedy="Give 1 or more")
    return int(value)
