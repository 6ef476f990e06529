"""Importing receipts, purchase orders, purchase terms, exchange rates and channel costs: all of a file or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist
from typing import Any
from zoneinfo import ZoneInfo

from oms_hub.errors import Misconfigured
from oms_hub.store import purchasing, receipts
from oms_hub.store.merchants import get_merchant
from oms_hub.store.purchasing import Import, Written
from oms_hub.store.receipts import ReceiptRow, ReceiptsBooked
from oms_hub.store.report_inputs_schema import COST_METHODS
from oms_hub.sync.hub import Hub
from oms_hub.sync.table_file import (
    Field,
    FieldFault,
    TableRow,
    a_day,
    an_instant,
    currency_code,
    number,
    positive,
    read_table,
    refuse,
    whole,
    words,
)

_KNOWN_SKUS = "add new SKUs with: oms-hub stock import FILE --create-skus"
_SERVICE_LEVEL = Decimal("0.95")


def _at_least_one(given: str) -> int:
    return whole(given, least=1)


def _percent(given: str) -> Decimal:
    return number(given, most=Decimal(100))


def _service_level(given: str) -> Decimal:
    found = number(given, least=Decimal("0.5"))
    if found > Decimal("0.9999"):
        raise FieldFault(f"{given[:40]} is above 0.9999")
    return found


def receive_stock(hub: Hub, merchant_name: str, path: Path) -> ReceiptsBooked:
    """Take a file of receipts: `reference,sku,quantity,[location],[unit_cost],[received_at]`.

    An empty location is the default place; an empty unit cost is not known; `received_at` without a zone is in the
    merchant's; without it, it is now. `unit_cost` is in the merchant's base currency.

    Raises:
        Misconfigured: the file or any row is wrong, or a receipt stands already with other figures; nothing was
            applied.
    """
    now = hub.clock()
    with hub.store.begin() as tx:
        merchant = get_merchant(tx, merchant_name)
        fields = (
            Field("reference", words),
            Field("sku", words),
            Field("quantity", _at_least_one),
            Field("location", words, is_required=False, default=""),
            Field("unit_cost", number, is_required=False),
            Field("received_at", an_instant(ZoneInfo(merchant.time_zone), now), is_required=False),
        )
        rows = read_table(path, fields, key=("reference", "sku", "location"))
        given = [ReceiptRow(row.line, **row.values) for row in rows]
        refuse(path, receipts.stage_receipts(tx, merchant.merchant_id, given, now=now), remedy=_KNOWN_SKUS)
        return receipts.book_receipts(tx, merchant.merchant_id, source=f"receive:{path.name}")


def import_purchase_orders(hub: Hub, merchant_name: str, path: Path) -> Written:
    """Take a file of purchase orders: `reference,sku,quantity,[expected_on]`; quantity 0 closes a line.

    Raises:
        Misconfigured: the file or any row is wrong; nothing was applied.
    """
    fields = (
        Field("reference", words),
        Field("sku", words),
        Field("quantity", whole),
        Field("expected_on", a_day, is_required=False),
    )
    rows = read_table(path, fields, key=("reference", "sku"))
    return _write(hub, path, purchasing.PURCHASE_ORDERS, rows, merchant_name=merchant_name, remedy=_KNOWN_SKUS)


def import_purchase_terms(hub: Hub, merchant_name: str, path: Path) -> Written:
    """Take a file of purchase terms, one row per SKU; see `docs/reference/reports.md` for what reorder does with them.

    Columns: `sku,lead_time_days,[supplier],[lead_time_sd_days],[cover_days],[minimum_quantity],[pack_size],
    [service_level]`; what is left out is no spread, no days to cover, a minimum and a pack of 1, 0.95.

    Raises:
        Misconfigured: the file or any row is wrong; nothing was applied.
    """
    fields = (
        Field("sku", words),
        Field("lead_time_days", number),
        Field("supplier", words, is_required=False, default=""),
        Field("lead_time_sd_days", number, is_required=False, default=Decimal(0)),
        Field("cover_days", number, is_required=False, default=Decimal(0)),
        Field("minimum_quantity", _at_least_one, is_required=False, default=1),
        Field("pack_size", _at_least_one, is_required=False, default=1),
        Field("service_level", _service_level, is_required=False, default=_SERVICE_LEVEL),
    )
    rows = [
        TableRow(row.line, {**row.values, "service_factor": service_factor(row.values["service_level"])})
        for row in read_table(path, fields, key=("sku",))
    ]
    return _write(hub, path, purchasing.PURCHASE_TERMS, rows, merchant_name=merchant_name, remedy=_KNOWN_SKUS)


def import_rates(hub: Hub, path: Path) -> Written:
    """Take a file of exchange rates: `date,currency,base,rate`, one unit of `currency` being `rate` of `base`.

    Raises:
        Misconfigured: the file or any row is wrong, or a rate stands in it twice; nothing was applied.
    """
    fields = (
        Field("date", a_day),
        Field("currency", currency_code),
        Field("base", currency_code),
        Field("rate", positive),
    )
    rows = [
        TableRow(row.line, {"rate_date": row.values["date"], "base_currency": row.values["base"], **row.values})
        for row in read_table(path, fields, key=("date", "currency", "base"))
    ]
    return _write(hub, path, purchasing.EXCHANGE_RATES, rows)


def import_channel_costs(hub: Hub, merchant_name: str, path: Path) -> Written:
    """Take a file of channel costs: `connection,currency,valid_from,fee_percent,fee_per_order,shipping_per_order`.

    Raises:
        Misconfigured: the file or any row is wrong; nothing was applied.
    """
    fields = (
        Field("connection", words),
        Field("currency", currency_code),
        Field("valid_from", a_day),
        Field("fee_percent", _percent, is_required=False, default=Decimal(0)),
        Field("fee_per_order", number, is_required=False, default=Decimal(0)),
        Field("shipping_per_order", number, is_required=False, default=Decimal(0)),
    )
    rows = read_table(path, fields, key=("connection", "currency", "valid_from"))
    return _write(hub, path, purchasing.CHANNEL_COSTS, rows, merchant_name=merchant_name)


def choose_cost_method(hub: Hub, merchant_name: str, method: str) -> bool:
    """Choose how the cost of goods is found; return whether that is a change. The next refresh makes them again.

    Raises:
        Misconfigured: the merchant or the method is unknown.
    """
    if method not in COST_METHODS:
        raise Misconfigured(f"There is no cost method {method!r}", remedy=f"Known methods: {', '.join(COST_METHODS)}")
    with hub.store.begin() as tx:
        return purchasing.set_cost_method(tx, get_merchant(tx, merchant_name).merchant_id, method)


def service_factor(service_level: Decimal) -> Decimal:
    """Return z of the standard normal distribution for a share of lead times, with four decimals.

    Example:
        >>> service_factor(Decimal("0.95"))
        Decimal('1.6449')
    """
    return Decimal(f"{NormalDist().inv_cdf(float(service_level)):.4f}")


def _write(
    hub: Hub,
    path: Path,
    wanted: Import,
    rows: Sequence[TableRow],
    *,
    merchant_name: str | None = None,
    remedy: str = "",
) -> Written:
    with hub.store.begin() as tx:
        merchant_id = None if merchant_name is None else get_merchant(tx, merchant_name).merchant_id
        given: list[dict[str, Any]] = [{"line": row.line, **row.values} for row in rows]
        refuse(path, purchasing.find_faults(tx, wanted, given, merchant_id=merchant_id), remedy=remedy)
        return purchasing.write_staged(tx, wanted, merchant_id=merchant_id)
