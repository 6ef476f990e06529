"""`fulfilment_daily`: how orders left the house, per day placed. SQL and definitions: `store.report_fulfilment`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule, not_negative, share
from oms_hub.store.report_fulfilment import FULFILMENT_DAILY

REPORT = Report(
    FULFILMENT_DAILY,
    (
        *not_negative("orders", "cancelled_orders", "orders_to_ship"),
        Rule(
            "open_orders = orders_to_ship - shipped_orders",
            lambda frame: frame["open_orders"] == frame["orders_to_ship"] - frame["shipped_orders"],
        ),
        Rule("orders_to_ship is at most orders", lambda frame: frame["orders_to_ship"] <= frame["orders"]),
        Rule("lines_shipped is at most lines_to_ship", lambda frame: frame["lines_shipped"] <= frame["lines_to_ship"]),
        Rule("units_shipped is at most units_to_ship", lambda frame: frame["units_shipped"] <= frame["units_to_ship"]),
        Rule(
            "on_time_orders <= promised_orders <= shipped_orders",
            lambda frame: (
                (frame["on_time_orders"] <= frame["promised_orders"])
                & (frame["promised_orders"] <= frame["shipped_orders"])
            ),
        ),
        Rule(
            "perfect_orders is at most shipped_orders", lambda frame: frame["perfect_orders"] <= frame["shipped_orders"]
        ),
        share("fill_rate"),
        share("on_time_rate"),
        share("perfect_order_rate"),
    ),
)
