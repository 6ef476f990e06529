"""The picture of `sales_daily`: total sales of the last fortnight, by day and channel."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import dagster as dg
import pandas as pd

from assets.charts import picture, stacked_bars
from oms_hub.reports import frame
from oms_hub.sync.hub import Hub

DAYS = 14


def sales_pictures(hub: Hub) -> dict[str, dg.MarkdownMetadataValue]:
    """Return one picture per currency that sold within the last fourteen business days up to today."""
    today = hub.clock().date()
    first = today - timedelta(days=DAYS - 1)
    found = frame(hub.store, "sales_daily", day_from=first, day_to=today + timedelta(days=1))
    return dict(_pictures(found, first))


def _pictures(sales: pd.DataFrame, first: date) -> Iterator[tuple[str, dg.MarkdownMetadataValue]]:
    last = max([first + timedelta(days=DAYS - 1), *sales["business_date"]])
    days = [last - timedelta(days=ago) for ago in reversed(range(DAYS))]
    for currency, rows in sales.groupby("currency"):
        sums: dict[tuple[str, date], Decimal] = {}
        for channel, day, amount in zip(rows["channel"], rows["business_date"], rows["total_sales"], strict=True):
            sums[channel, day] = sums.get((channel, day), Decimal(0)) + amount
        channels = sorted({channel for channel, _day in sums})
        series = {channel: [sums.get((channel, day), Decimal(0)) for day in days] for channel in channels}
        title = f"Total sales by business day, {currency}"
        yield f"total_sales_{currency}", picture(stacked_bars(days, series, title=title), title)
