"""Importing counts from a file: all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from oms_hub.errors import Misconfigured
from oms_hub.store import count_import
from oms_hub.store.count_import import Faults
from oms_hub.store.counts import CountsBooked
from oms_hub.store.engine import Transaction
from oms_hub.store.goods import list_locations
from oms_hub.store.merchants import Merchant, get_merchant
from oms_hub.sync.hub import Hub
from oms_hub.sync.stock_file import FAULTS_TOLD, RowFaults, read_counts


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        rows: counts in the file.
        counted: those that were booked.
        changed: those of them that changed a level, or gave the first one.
        unchanged: those that stood already, the same count as of the same instant.
        outdated: those that are older than a count of the same SKU and place, which stays.
        created_skus: SKUs that the merchant did not have.
    """

    rows: int
    counted: int
    changed: int
    unchanged: int
    outdated: int
    created_skus: int


def import_stock(hub: Hub, merchant_name: str, path: Path, *, create_skus: bool = False) -> ImportReport:
    """Take a file of counts: `sku,location,quantity[,unit_cost][,counted_at]`.

    An empty location is the default place; `counted_at` without a zone is in the merchant's; without it, it is now.

    Args:
        hub: the hub.
        merchant_name: whose counts.
        path: the file.
        create_skus: add SKUs that are not known yet, instead of refusing the file.

    Raises:
        Misconfigured: the file or any row is wrong; the message names up to twenty lines, and nothing was applied.
    """
    now = hub.clock()
    faults = RowFaults()
    path = Path(path)
    with hub.store.begin() as tx:
        merchant = get_merchant(tx, merchant_name)
        rows = read_counts(path, zone=ZoneInfo(merchant.time_zone), now=now, faults=faults)
        staged = count_import.stage_rows(tx, merchant.merchant_id, rows)
        known = count_import.find_faults(tx, merchant.merchant_id, create_skus=create_skus, limit=FAULTS_TOLD)
        if faults.total or known.total:
            raise _refusal(tx, path, merchant, faults, known)
        if not staged:
            raise Misconfigured(f"{path.name} has a header and no counts", remedy="Add one line per SKU and location")
        created = count_import.add_missing_skus(tx, merchant.merchant_id) if create_skus else 0
        booked = count_import.book_rows(tx, merchant.merchant_id, now=now, source=f"import:{path.name}")
    return _report(staged, booked, created)


def _report(staged: int, booked: CountsBooked, created: int) -> ImportReport:
    return ImportReport(staged, booked.booked, booked.changed, booked.unchanged, booked.outdated, created)


def _refusal(tx: Transaction, path: Path, merchant: Merchant, faults: RowFaults, known: Faults) -> Misconfigured:
    total = faults.total + known.total
    told = sorted([*faults.first, *known.first])[:FAULTS_TOLD]
    listed = "; ".join(f"line {line}: {words}" for line, words in told)
    more = f"; and {total - len(told)} more" if total > len(told) else ""
    remedies = ["Nothing was applied: correct the file and import it again"]
    if known.has_unknown_sku:
        remedies.append("add new SKUs with --create-skus")
    if known.has_unknown_location:
        codes = ", ".join(place.code for place in list_locations(tx, merchant.merchant_id))
        remedies.append(
            f"known locations are {codes}; add one with: oms-hub locations add CODE --merchant {merchant.name}"
        )
    noun = "row is" if total == 1 else "rows are"
    return Misconfigured(f"{path.name}: {total} {noun} wrong: {listed}{more}", remedy="; ".join(remedies))
