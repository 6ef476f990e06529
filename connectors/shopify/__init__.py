"""Shopify: orders, listings and stock through the Admin GraphQL API."""

from __future__ import annotations

from connectors.shopify.check import check
from connectors.shopify.listings import listing_source, locations
from connectors.shopify.oauth import FLOW, GUIDE, revoke
from connectors.shopify.orders import order_ids, order_lookup, order_source
from connectors.shopify.parse import parse_order, split_page
from connectors.shopify.sandbox import start_sandbox
from connectors.shopify.settings import SETTINGS, check_settings
from connectors.shopify.stock import stock_sink, stock_source
from oms_hub.channel.contract import Capabilities, Channel, PullMode, StockWriteMode

CHANNEL = Channel(
    name="shopify",
    title="Shopify",
    capabilities=Capabilities(
        pull_mode=PullMode.WATERMARK,
        stock_write=StockWriteMode.COMPARE_AND_SWAP,
        stock_batch_size=250,
        has_locations=True,
        tells_on_hand=True,
        has_idempotency_keys=True,
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
    locations=locations,
    stock_source=stock_source,
    stock_sink=stock_sink,
    sandbox=start_sandbox,
    guide=GUIDE,
    oauth=FLOW,
    revoke=revoke,
)
