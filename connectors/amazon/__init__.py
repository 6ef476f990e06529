"""Amazon: orders, refunds, listings and stock of a seller account through the Selling Partner API."""

from __future__ import annotations

from connectors.amazon.check import check
from connectors.amazon.levels import stock_source
from connectors.amazon.listings import listing_source
from connectors.amazon.orders import order_ids, order_lookup, order_source
from connectors.amazon.pages import split_page
from connectors.amazon.parse import parse_order
from connectors.amazon.sandbox import start_sandbox
from connectors.amazon.settings import SETTINGS, check_settings
from connectors.amazon.stock import BATCH_SIZE, stock_sink
from oms_hub.channel.contract import Capabilities, Channel, PullMode, RecordMode, StockWriteMode

CHANNEL = Channel(
    name="amazon",
    title="Amazon",
    capabilities=Capabilities(
        pull_mode=PullMode.WATERMARK,
        record_mode=RecordMode.JOINED,
        stock_write=StockWriteMode.ABSOLUTE,
        stock_batch_size=BATCH_SIZE,
    ),
    settings=SETTINGS,
    split_page=split_page,
    parse_order=parse_order,
    check=check,
    check_settings=check_settings,
    order_source=order_source,
    order_lookup=order_lookup,
    order_ids=order_ids,
    listing_source=listing_source,
    stock_source=stock_source,
    stock_sink=stock_sink,
    sandbox=start_sandbox,
)
