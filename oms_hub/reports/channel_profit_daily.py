"""`channel_profit_daily`: margin per connection and day. SQL and definitions: `store.report_profit`."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd

from oms_hub.reports.report import Report, Rule, known_together, not_negative
from oms_hub.store.report_profit import CHANNEL_PROFIT_DAILY

_CENT_OF_A_CENT = Decimal("0.0001")


def _margin(frame: pd.DataFrame) -> pd.Series[bool]:
    known = frame["margin"].notna()
    expected_known = frame["rate"].notna() & (frame["units_without_cost"] == 0)
    rows = frame[known]
    earned = rows["net_sales"] + rows["shipping_charged"] - rows["cost"]
    given = rows[["channel_fees", "shipping_cost"]].map(lambda amount: Decimal(0) if pd.isna(amount) else amount)
    gap = rows["margin"] - (earned - given["channel_fees"] - given["shipping_cost"])
    ties = pd.Series(True, index=frame.index)
    ties[known] = gap.map(abs) < _CENT_OF_A_CENT
    return ties & (known == expected_known)


REPORT = Report(
    CHANNEL_PROFIT_DAILY,
    (
        *not_negative("orders", "units_without_cost"),
        known_together("rate", "rate_date", "net_sales", "shipping_charged"),
        Rule(
            "channel_fees are known wherever shipping_cost is",
            lambda frame: frame["channel_fees"].notna() | frame["shipping_cost"].isna(),
        ),
        Rule("margin = net_sales + shipping_charged - cost - channel_fees - shipping_cost, where known", _margin),
    ),
)
