"""WooCommerce: orders, listings and stock of a merchant's own shop through its REST API v3."""

from __future__ import annotations

from connectors.woocommerce.auth import check
from connectors.woocommerce.listings import listing_source
from connectors.woocommerce.oauth import FLOW, GUIDE
from connectors.woocommerce.orders import order_ids, order_lookup, order_source
from connectors.woocommerce.parse import parse_order, split_page
from connectors.woocommerce.sandbox import start_sandbox
from connectors.woocommerce.settings import SETTINGS, check_settings
from connectors.woocommerce.stock import BATCH_SIZE, stock_sink, stock_source
from oms_hub.channel.contract import Capabilities, Channel, PullMode, StockWriteMode

CHANNEL = Channel(
    name="woocommerce",
    title="WooCommerce",
    capabilities=Capabilities(
        pull_mode=PullMode.WATERMARK,
        stock_write=StockWriteMode.ABSOLUTE,
        stock_batch_size=BATCH_SIZE,
        webhook="full_payload",
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
