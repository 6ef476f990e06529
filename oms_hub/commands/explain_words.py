"""Explanations in plain words: facts in, lines out. Pure.

What belongs here: sentences. Not here: the facts (`oms_hub.sync.explain`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

Facts: TypeAlias = Mapping[str, Any]

_DECIDED = {
    "pool": "the whole pool is offered",
    "empty": "the pool is empty",
    "end_when": "the pool is at or below end_when",
    "share": "its share of the pool",
    "cap": "its cap",
    "floor": "its floor, whatever the pool is: it oversells on purpose",
    "paused": "it is paused by policy",
    "hold_back": "units are kept back for what the other channels may sell before the next look",
}
_PUSHED = {
    "open": "waits to be sent",
    "delivered": "the channel took it",
    "superseded": "a newer plan replaced it",
    "dead": "the channel refuses it for good",
    "dismissed": "a person dismissed it",
}


def moment(instant: datetime | None) -> str:
    """Return an instant for people: `2026-11-22 12:00:00Z`, `never` for None."""
    return "never" if instant is None else instant.strftime("%Y-%m-%d %H:%M:%SZ")


def stock_lines(facts: Facts) -> Iterator[str]:
    """Yield why a SKU's numbers are what they are."""
    title = f" ({facts['title']})" if facts["title"] else ""
    yield f"{facts['sku']}{title} of {facts['merchant']}, as of {moment(facts['explained_at'])}"
    if facts["components"]:
        parts = ", ".join(f"{part['units']} x {part['sku']}" for part in facts["components"])
        yield f"A bundle of {parts}: it has no stock of its own, its components are held and moved."
    yield from _level(facts)
    yield from _moved(facts["movements"])
    yield from _promised(facts["orders"])
    for transfer in facts["transfers"]:
        yield (
            f"  in transit: {transfer['in_transit']} from {transfer['from_location']} to {transfer['to_location']}"
            f" since {moment(transfer['started_at'])} (transfer {transfer['reference']})"
        )
    yield ""
    if not facts["listings"]:
        yield "No connection lists it: nothing is pushed."
    for listing in facts["listings"]:
        yield from _listing(listing, facts)
    for alert in facts["alerts"]:
        yield f"Alert {alert['kind']} since {moment(alert['fired_at'])}: {alert['message']}"


def _level(facts: Facts) -> Iterator[str]:
    level = facts["level"]
    if level is None:
        yield "It was never counted, so it has no level and nothing is pushed: oms-hub stock import, or stock adopt."
        return
    yield (
        f"available {level['available']} = on hand {level['on_hand']} - allocated {level['allocated']}"
        f" - reserved {level['reserved']} - unavailable {level['unavailable']}; incoming {level['incoming']}"
    )
    for place in facts["places"]:
        if place["on_hand"] is None:
            yield f"  {place['location']}: never counted; incoming {place['incoming']}"
            continue
        yield (
            f"  {place['location']}: on hand {place['on_hand']}, allocated {place['allocated']},"
            f" reserved {place['reserved']}, unavailable {place['unavailable']}, incoming {place['incoming']},"
            f" available {place['available']}; counted {moment(place['counted_at'])}"
        )


def _moved(movements: Facts) -> Iterator[str]:
    totals = movements["totals"]
    if not totals:
        return
    yield ""
    yield f"On hand by movement ({sum(row['movements'] for row in totals)} in all):"
    for row in totals:
        yield f"  {row['location']}: {row['kind']} {row['units']:+} in {row['movements']} movements"
    yield "The newest:"
    for row in movements["newest"]:
        raw = f"; raw payload {row['raw']}" if row["raw"] else ""
        where = f" on {row['connection']}" if row["connection"] else ""
        yield (
            f"  {moment(row['occurred_at'])} {row['location']}: {row['kind']} {row['quantity']:+},"
            f" {row['balance_before']} -> {row['balance_after']}: {row['cause']}{where} ({row['source']}{raw})"
        )


def _promised(orders: Facts) -> Iterator[str]:
    totals = orders["totals"]
    if not totals["lines"]:
        return
    yield ""
    yield (
        f"Promised to {totals['lines']} open order lines: {totals['allocated']} allocated, {totals['reserved']}"
        f" reserved; {totals['there']} of them are there, {totals['backordered']} are backordered. The oldest:"
    )
    for row in orders["oldest"]:
        kind = "allocated" if row["allocated"] else "reserved (not paid)"
        missing = f", {row['backordered']} backordered" if row["backordered"] else ""
        yield (
            f"  {moment(row['placed_at'])} {row['connection']} order {row['order_id']} line {row['line_id']}:"
            f" {row['allocated'] or row['reserved']} {kind}{missing} (raw payload {row['raw']})"
        )
    if len(orders["oldest"]) < totals["lines"]:
        yield f"  and {totals['lines'] - len(orders['oldest'])} lines more"


def _listing(listing: Facts, facts: Facts) -> Iterator[str]:
    shows = "nothing known" if listing["shows"] is None else f"{listing['shows']} (read or confirmed "
    shows += "" if listing["shows"] is None else f"{moment(listing['known_at'])})"
    sells = "" if listing["sells"] == facts["sku"] else f", which sells {listing['sells']}"
    yield f"{listing['connection']} ({listing['channel']}) listing {listing['listing']}{sells} shows {shows}"
    obstacle = _obstacle(listing)
    if obstacle:
        yield f"  {obstacle}"
    if listing["desired"] is None:
        yield "  wanted: no plan yet" if facts["level"] else "  wanted: no level without a count"
    else:
        pack = f", packs of {listing['pack_size']}" if listing["pack_size"] > 1 else ""
        why = _DECIDED.get(listing["decided_by"], "no plan has said why yet")
        yield f"  wanted: {listing['desired']} of a pool of {listing['pool_units']}{pack}: {why}"
    yield f"  in flight: {listing['in_flight']} sold there whose orders are not here; kept back: {listing['held_back']}"
    for name, said in listing["policy"].items():
        yield f"  policy: {name} {said['value']} (said for {said['from']})"
    yield from _push(listing)
    yield f"  last good pull: {moment(listing['last_good_pull_at'])}"


def _obstacle(listing: Facts) -> str:
    if listing["connection_state"] != "active":
        return f"not pushed: the connection is {listing['connection_state'].replace('_', ' ')}"
    for field, words in (
        ("is_active", "the listing is gone from the channel"),
        ("is_tracked", "the channel keeps no quantity for it"),
        ("is_writable", "its level may not be written (others fulfil it)"),
        ("is_push_enabled", "pushing is off: oms-hub connections push NAME on"),
    ):
        if not listing[field]:
            return f"not pushed: {words}"
    return ""


def _push(listing: Facts) -> Iterator[str]:
    push = listing["last_push"]
    if push is None:
        yield "  last push: none"
        return
    before = "?" if push["from_level"] is None else push["from_level"]
    answer = _PUSHED[push["state"]]
    said = f": {push['last_error']}" if push["last_error"] else ""
    sent = f"sent {moment(push['sent_at'])}" if push["sent_at"] else f"planned {moment(push['created_at'])}"
    yield f"  last push: {before} -> {push['to_level']} ({push['cause']}), {sent}; {answer}{said}"


def order_lines(facts: Facts) -> Iterator[str]:
    """Yield the life of an order."""
    order = facts["order"]
    if order is None:
        yield f"{facts['connection']} told of this order, and its payload cannot be read:"
    else:
        yield from _order(order, facts)
    payloads = facts["payloads"]
    yield f"Raw payloads ({payloads['total']}), the newest first:"
    for row in payloads["newest"]:
        changed = f", changed {moment(row['channel_updated_at'])}" if row["channel_updated_at"] else ""
        yield f"  {row['raw']} {row['kind']}, landed {moment(row['landed_at'])}{changed}"
    for row in facts["quarantine"]:
        yield f"Quarantine ({row['state']}): {row['reason']} (raw payload {row['raw']}, {row['attempts']} attempts)"
    if order is None:
        return
    yield from _section("States", facts["states"], _state)
    yield from _section("Lines", facts["lines"], _line)
    yield from _section("Units", facts["units"], _unit)
    yield from _section("Stock movements", facts["movements"], _movement)
    yield from _section("Payments", facts["payments"], _payment)
    yield from _section("Shipments", facts["shipments"], _shipment)
    yield from _section("Refunds", facts["refunds"], _refund)
    yield from _section("Returns", facts["returns"], _return)
    yield from _section("Exceptions", facts["exceptions"], _exception)


def _order(order: Facts, facts: Facts) -> Iterator[str]:
    marks = [word for word, is_so in (("test", order["is_test"]), ("draft", order["is_draft"])) if is_so]
    tags = f"; tags: {', '.join(order['tags'])}" if order["tags"] else ""
    yield (
        f"Order {order['label']} ({order['order_id']}) on {facts['connection']} ({facts['channel']}):"
        f" {' '.join([*marks, order['kind']])}, {order['total']} {order['currency']}{tags}"
    )
    yield (
        f"  placed {moment(order['placed_at'])}, changed {moment(order['channel_updated_at'])},"
        f" understood {moment(order['normalised_at'])} from raw payload {order['raw']}"
    )
    yield f"  now: {order['state']}, {order['payment_state']}, {order['fulfilment_state']}"
    if order["vanished_at"]:
        yield f"  gone from the channel since {moment(order['vanished_at'])}"


def _section(title: str, found: Sequence[Facts], words: Any) -> Iterator[str]:
    if found:
        yield f"{title}:"
        for row in found:
            yield f"  {words(row)}"


def _state(row: Facts) -> str:
    return f"{moment(row['observed_at'])} {row['field']} {row['value']} (channel: {row['channel_value'] or '-'})"


def _line(row: Facts) -> str:
    goods = row["sku"] or f"{row['channel_sku'] or row['title']} (not mapped)"
    held = f"{row['allocated']} allocated, {row['reserved']} reserved"
    ended = f", its unpaid hold ended {moment(row['hold_ended_at'])}" if row["hold_ended_at"] else ""
    return (
        f"{row['line_id']}: {row['quantity']} x {goods} at {row['unit_price']}; {row['cancelled']} cancelled,"
        f" {row['shipped']} shipped, {row['refunded']} refunded, {held}{ended}"
    )


def _unit(row: Facts) -> str:
    where = f" at {row['location']}" if row["location"] else ""
    unpaid = ", not paid" if row["is_reserved"] else ""
    return (
        f"line {row['line_id']}: {row['units']} of {row['sku']} {row['state']}{where}{unpaid}, {moment(row['since'])}"
    )


def _movement(row: Facts) -> str:
    return (
        f"{moment(row['occurred_at'])} {row['sku']} at {row['location']}: {row['kind']} {row['quantity']:+},"
        f" {row['balance_before']} -> {row['balance_after']}: {row['cause']}"
    )


def _payment(row: Facts) -> str:
    failed = "" if row["is_successful"] else ", failed"
    return f"{moment(row['processed_at'])} {row['kind']} {row['amount']} {row['currency']} {row['gateway']}{failed}"


def _shipment(row: Facts) -> str:
    number = f", {row['carrier'] or 'carrier not given'} {row['tracking_number'] or 'without number'}"
    return f"{moment(row['shipped_at'])} {row['shipment_id']}: {_parts(row['lines'])}{number}"


def _refund(row: Facts) -> str:
    return f"{moment(row['refunded_at'])} {row['refund_id']}: {row['paid_amount']} paid back, {_parts(row['lines'])}"


def _return(row: Facts) -> str:
    closed = f", closed {moment(row['closed_at'])}" if row["closed_at"] else ""
    return f"{moment(row['opened_at'])} {row['return_id']}: {row['status']}{closed}"


def _exception(row: Facts) -> str:
    return f"{moment(row['opened_at'])} {row['kind']} ({row['state']}): {row['message']}"


def _parts(lines: Sequence[Facts] | None) -> str:
    told = [
        f"{row['quantity']} of line {row['line_id']}{' back on the shelf' if row.get('is_restocked') else ''}"
        for row in lines or ()
    ]
    return ", ".join(told) or "no goods"
