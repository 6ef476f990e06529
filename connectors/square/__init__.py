"""Square: sales over the counter, listings and stock of a seller, through the Orders, Catalog and Inventory APIs."""

from __future__ import annotations

from connectors.square.check import check
from connectors.square.listings import listing_source
from connectors.square.locations import locations
from connectors.square.oauth import FLOW, GUIDE, revoke
from connectors.square.orders import order_ids, order_lookup, order_source
from connectors.square.parse import parse_order, split_page
from connectors.square.push import BATCH_SIZE, stock_sink
from connectors.square.sandbox import start_sandbox
from connectors.square.settings import SETTINGS, check_settings
from connectors.square.stock import stock_source
from oms_hub.channel.contract import Capabilities, Channel, PullMode, StockWriteMode

CHANNEL = Channel(
    name="square",
    title="Square",
    capabilities=Capabilities(
        pull_mode=PullMode.WATERMARK,
        stock_write=StockWriteMode.ABSOLUTE,
        stock_batch_size=BATCH_SIZE,
        has_locations=True,
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
