"""Mercado Libre: orders, listings and stock of a seller's account on one of its sites."""

from __future__ import annotations

from connectors.mercadolibre.check import check
from connectors.mercadolibre.listings import listing_source
from connectors.mercadolibre.oauth import FLOW, GUIDE
from connectors.mercadolibre.orders import order_ids, order_lookup, order_source
from connectors.mercadolibre.parse import parse_order, split_page
from connectors.mercadolibre.sandbox import start_sandbox
from connectors.mercadolibre.settings import SETTINGS, check_settings
from connectors.mercadolibre.stock import BATCH_SIZE, stock_sink, stock_source
from oms_hub.channel.contract import Capabilities, Channel, PullMode, StockWriteMode

CHANNEL = Channel(
    name="mercadolibre",
    title="Mercado Libre",
    capabilities=Capabilities(
        pull_mode=PullMode.WATERMARK,
        stock_write=StockWriteMode.ABSOLUTE,
        stock_batch_size=BATCH_SIZE,
        webhook="pointer",
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
    guide=GUIDE,
    oauth=FLOW,
)
