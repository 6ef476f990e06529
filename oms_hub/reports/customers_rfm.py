"""`customers_rfm`: buyers by recency, frequency and money. SQL and definitions: `store.report_customers`."""

from __future__ import annotations

from oms_hub.reports.report import Report, Rule
from oms_hub.store.report_customers import CUSTOMERS_RFM


def _one_to_five(name: str) -> Rule:
    return Rule(f"{name} is 1 to 5", lambda frame: frame[name].between(1, 5))


REPORT = Report(
    CUSTOMERS_RFM,
    (
        Rule("a pseudonym has 32 hexadecimal digits", lambda frame: frame["customer"].str.fullmatch("[0-9a-f]{32}")),
        Rule(
            "recency_days and orders are at least 1",
            lambda frame: (frame["recency_days"] >= 1) & (frame["orders"] >= 1),
        ),
        *(_one_to_five(name) for name in ("recency_score", "frequency_score", "money_score")),
    ),
)
