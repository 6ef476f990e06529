"""`sales_by_sku_daily`: sales per SKU and business day. Its SQL and definitions stand in `store.report_sku_sales`."""

from __future__ import annotations

import pandas as pd

from oms_hub.reports.report import Report, Rule
from oms_hub.store.report_sku_sales import SALES_BY_SKU_DAILY


def _margin_is_net_minus_cost(frame: pd.DataFrame) -> pd.Series[bool]:
    known = frame["cost"].notna()
    both_or_none = known == frame["margin"].notna()
    ties = pd.Series(True, index=frame.index)
    ties[known] = frame.loc[known, "margin"] == frame.loc[known, "net_sales"] - frame.loc[known, "cost"]
    return both_or_none & ties


REPORT = Report(
    SALES_BY_SKU_DAILY,
    (
        Rule(
            "net_sales = gross_sales - discounts - returns",
            lambda frame: frame["net_sales"] == frame["gross_sales"] - frame["discounts"] - frame["returns"],
        ),
        Rule("margin = net_sales - cost, and both are known or none", _margin_is_net_minus_cost),
    ),
)
