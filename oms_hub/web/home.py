"""The first page: is all well, connection by connection; what waits; how it sells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from oms_hub.channel.contract import Channel
from oms_hub.store.web_overview import Cover, DaySales, connection_cards, sales_by_day, stock_cover, waiting_counts
from oms_hub.web.charts import Chart, cover_bars, stacked_bars
from oms_hub.web.identity import Anyone
from oms_hub.web.language import Words
from oms_hub.web.pages import show, words_for

router = APIRouter(include_in_schema=False)

_DAYS = 28
_COVERED = 10


@router.get("/")
def home(request: Request, visitor: Anyone) -> Response:
    """Show how everything stands."""
    if visitor.membership is None:
        return show(request, "no_business.html", visitor=visitor)
    now = visitor.site.hub.clock()
    today = now.astimezone(ZoneInfo(visitor.merchant.time_zone)).date()
    days = [today - timedelta(days=back) for back in range(_DAYS - 1, -1, -1)]
    with visitor.hub.store.read() as tx:
        cards = connection_cards(tx, visitor.merchant_id)
        counts = waiting_counts(tx, visitor.merchant_id)
        sales = sales_by_day(tx, visitor.merchant_id, after=days[0] - timedelta(days=1), until=today)
        cover = stock_cover(tx, visitor.merchant_id, since=now - timedelta(days=_DAYS), limit=_COVERED)
    words, channels = words_for(request, visitor), visitor.site.hub.channels
    return show(
        request, "home.html", visitor=visitor, cards=cards, counts=counts, sales=_sales(words, channels, days, sales),
        cover=_cover(words, cover),
        titles={card.channel: _title(channels, card.channel) for card in cards},
    )  # fmt: skip


def _title(channels: Mapping[str, Channel], name: str) -> str:
    """Return what people call a channel; its name where its connector is gone."""
    return channels[name].title if name in channels else name


def _sales(
    words: Words, channels: Mapping[str, Channel], days: Sequence[date], sales: Sequence[DaySales]
) -> Sequence[tuple[str, Chart, Decimal, int]]:
    """Return (currency, chart, net sales, orders) for each currency: currencies are never added."""
    found = []
    for currency in sorted({each.currency for each in sales}):
        mine = [each for each in sales if each.currency == currency]
        series: dict[str, dict[date, Decimal]] = {}
        for each in mine:
            series.setdefault(_title(channels, each.channel), {})[each.day] = each.net_sales
        total = sum((each.net_sales for each in mine), Decimal(0)).quantize(Decimal("0.01"))
        orders = sum(each.orders for each in mine)
        title = words(
            "Net sales by day and channel, {days} days: {total}", days=len(days), total=words.money(total, currency)
        )
        found.append((currency, stacked_bars(days, series, title=title), total, orders))
    return found


def _cover(words: Words, rows: Sequence[Cover]) -> Chart | None:
    if not rows:
        return None
    lines = [(each.sku, each.units, Decimal(each.units) * _DAYS / each.sold) for each in rows]
    return cover_bars(lines, title=words("How long the stock of what sells most lasts"), unit=words("days"))
