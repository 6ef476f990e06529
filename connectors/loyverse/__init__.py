"""Loyverse POS, read only: receipts, refunds, items and levels. The example of docs/how-to/add-a-connector.md."""

from __future__ import annotations

from connectors.loyverse.api import check
from connectors.loyverse.listings import listing_source, locations
from connectors.loyverse.orders import order_ids, order_lookup, order_source
from connectors.loyverse.parse import parse_order, split_page
from connectors.loyverse.sandbox import start_sandbox
from connectors.loyverse.settings import SETTINGS, check_settings
from connectors.loyverse.stock import stock_source
from oms_hub.channel.contract import Capabilities, Channel, PullMode

CHANNEL = Channel(
    name="loyverse",
    title="Loyverse POS",
    capabilities=Capabilities(pull_mode=PullMode.WATERMARK, has_locations=True),
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
    sandbox=start_sandbox,
)
