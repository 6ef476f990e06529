"""`inventory_daily`: stock per SKU, place and day. SQL and definitions: `store.report_inventory`."""

from __future__ import annotations

import pandas as pd

from oms_hub.reports.report import Report, Rule, known_together
from oms_hub.store.report_inventory import INVENTORY_DAILY

_PLACE = ["merchant", "sku", "location"]


def _chains(frame: pd.DataFrame) -> pd.Series[bool]:
    ordered = frame.sort_values([*_PLACE, "business_date"])
    before = ordered.groupby(_PLACE)["closing"].shift()
    return (before.isna() | (before == ordered["opening"])).reindex(frame.index)


REPORT = Report(
    INVENTORY_DAILY,
    (
        Rule(
            "closing = opening + received - sold + returned + adjusted + transferred",
            lambda frame: (
                frame["closing"]
                == frame["opening"]
                + frame["received"]
                - frame["sold"]
                + frame["returned"]
                + frame["adjusted"]
                + frame["transferred"]
            ),
        ),
        Rule("each row opens where the one before closed", _chains),
        known_together("unit_cost", "value"),
    ),
)
