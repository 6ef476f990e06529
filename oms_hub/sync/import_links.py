"""Linking many listings to SKUs from a CSV file: all of it or nothing."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from oms_hub.errors import Misconfigured
from oms_hub.store.listing_links import Link, link_by_hand
from oms_hub.sync.hub import Hub

_REQUIRED = {"listing_key", "sku"}
_KNOWN = _REQUIRED | {"pack_size"}


def import_links(hub: Hub, connection_name: str, path: Path, *, create_skus: bool = False) -> int:
    """Link listings as the file says and return how many.

    Args:
        hub: the hub.
        connection_name: whose listings.
        path: UTF-8 CSV with the columns listing_key, sku and optionally pack_size.
        create_skus: add SKUs that the merchant does not have yet.

    Raises:
        Misconfigured: the file cannot be used; names the line; nothing is linked.
    """
    stored = hub.connection(connection_name)
    links = list(_links(path))
    with hub.store.begin() as tx:
        return link_by_hand(tx, stored.merchant_id, stored.connection_id, links, create_skus=create_skus)


def _links(path: Path) -> Iterator[Link]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = set(reader.fieldnames or ())
            if not header >= _REQUIRED or not header <= _KNOWN:
                raise Misconfigured(
                    f"{path.name} has the columns {', '.join(sorted(header)) or 'none'}",
                    remedy="Its first line must be: listing_key,sku or listing_key,sku,pack_size",
                )
            seen: dict[str, int] = {}
            for row in reader:
                link = _link(row, f"{path.name} line {reader.line_num}")
                if link.listing_key in seen:
                    raise Misconfigured(
                        f"{path.name} line {reader.line_num}: listing {link.listing_key} stands on line "
                        f"{seen[link.listing_key]} already",
                        remedy="Keep one line per listing",
                    )
                seen[link.listing_key] = reader.line_num
                yield link
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read ({error.strerror})", remedy="Check the path") from None
    except (UnicodeDecodeError, csv.Error):
        raise Misconfigured(f"{path.name} is not a CSV file in UTF-8", remedy="Save it as CSV, UTF-8") from None


def _link(row: dict[str, str | None], where: str) -> Link:
    key, sku = (row.get("listing_key") or "").strip(), (row.get("sku") or "").strip()
    if not key.isprintable() or not sku.isprintable():
        raise Misconfigured(f"{where}: a code with characters that cannot be printed", remedy="Correct the line")
    if not key or not sku or None in row:
        raise Misconfigured(f"{where}: a listing key and a SKU are needed, and nothing more", remedy="Correct the line")
    size = (row.get("pack_size") or "1").strip()
    if not re.fullmatch(r"[0-9]{1,9}", size) or int(size) < 1:
        raise Misconfigured(
            f"{where}: pack size {size[:20]!r} is not a whole number above 0", remedy="Correct the line"
        )
    return Link(key, sku, int(size))
