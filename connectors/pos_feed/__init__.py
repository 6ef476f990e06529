"""Point-of-sale feeds: sales files from tills, read by configuration alone (docs/reference/channels/pos_feed.md)."""

from __future__ import annotations

from connectors.pos_feed.auth import SECRETS
from connectors.pos_feed.check import check, preview
from connectors.pos_feed.console import FEED, GUIDE
from connectors.pos_feed.orders import order_source
from connectors.pos_feed.pages import split_page
from connectors.pos_feed.parse import parse_order
from connectors.pos_feed.sandbox import start_sandbox
from connectors.pos_feed.settings import SETTINGS, check_settings
from oms_hub.channel.contract import Capabilities, Channel, PullMode, RecordMode

CHANNEL = Channel(
    name="pos_feed",
    title="POS feed",
    capabilities=Capabilities(pull_mode=PullMode.FILE_DROP, record_mode=RecordMode.APPEND),
    settings=(*SETTINGS, *SECRETS),
    split_page=split_page,
    parse_order=parse_order,
    check=check,
    check_settings=check_settings,
    order_source=order_source,
    sandbox=start_sandbox,
    guide=GUIDE,
    file_feed=FEED,
)

__all__ = ["CHANNEL", "preview"]
