"""What a channel is to the hub: data plus functions, bound together in one `Channel`.

What belongs here: the types that cross between the hub and a connector. Not here: anything that does work.
A connector's `__init__.py` binds `CHANNEL = Channel(...)`; what the channel lacks stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import httpx

from oms_hub.channel.connecting import ConnectGuide, FileFeed, OAuthFlow
from oms_hub.channel.rate_limit import Buckets, ProcessBuckets
from oms_hub.clock import Clock, Sleep
from oms_hub.domain.orders import Order

Cursor: TypeAlias = Mapping[str, Any]
"""Where a pull stands: plain JSON that only the connector reads. Empty means "from the beginning"."""

Payload: TypeAlias = Any
"""One raw record as parsed from JSON; never changed in place."""


# --------------------------------------------------------------------------------- what a connector is given


@dataclass(frozen=True, slots=True)
class Connection:
    """A merchant's account on a channel, without secrets and without a database."""

    connection_id: int
    name: str
    channel: str
    merchant: str
    currency: str
    """The merchant's base currency, ISO 4217."""
    time_zone: str
    """The merchant's business zone, IANA name."""
    settings: Mapping[str, str]


class Secrets(Protocol):
    """The secrets of one connection. Values are read when needed and never kept, logged or put in URLs."""

    def get(self, name: str) -> str | None:
        """Return a secret's value, None where it was never given."""

    def replace(self, values: Mapping[str, str]) -> None:
        """Store new values durably, all or none, before this returns: rotated tokens are stored before use."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold the right to refresh this connection's tokens, over all processes."""


@dataclass(frozen=True, slots=True)
class ChannelSession:
    """All that a connector works with for one connection."""

    connection: Connection
    secrets: Secrets
    clock: Clock
    sleep: Sleep
    transport: httpx.BaseTransport | None = None
    """Only for tests that cut the network; None in real use."""
    buckets: Buckets = field(default_factory=ProcessBuckets)
    """Rate limits that all processes of this merchant share; of a session made by hand, its own."""


# ------------------------------------------------------------------------------------------------- raw orders


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page as it came, with the cursor that is stored in the same transaction.

    Attributes:
        kind: what the records are: `orders` (a full snapshot each, or what the record mode says) or
            `order_tombstones` (`{"id": ..}` of orders that no longer exist at the channel).
        body: the channel's answer verbatim; where several answers make one record, a JSON envelope of verbatim parts.
        cursor: where to go on after this page, also after a crash.
        source_line_count: rows of a file that this page covers, 0 for APIs.
        notices: things to report that are not errors of one record (a changed row in a file ...).
        records: what `split_page(kind, body)` gives, where the connector has it parsed anyway; None splits again.
    """

    kind: str
    body: bytes
    cursor: Cursor
    source_line_count: int = 0
    notices: tuple[Notice, ...] = ()
    records: Sequence[RawRecord] | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the puller noticed that a person should see; becomes an exception of that kind."""

    kind: str
    reference: str
    message: str


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record inside a page. `record_id` is the channel's order id; `updated_at` where the record tells it."""

    record_id: str
    payload: Payload
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PullRequest:
    """How far a pull goes.

    Attributes:
        cursor: where the last pull ended; empty for the first.
        is_full: walk the whole history again (a backfill), whatever the cursor says.
        placed_from: lower bound of a backfill; None means the channel's whole history.
    """

    cursor: Cursor
    is_full: bool = False
    placed_from: datetime | None = None


# --------------------------------------------------------------------------------------------------- listings


@dataclass(frozen=True, slots=True)
class ListingRecord:
    """A SKU's offer on one connection.

    Attributes:
        listing_key: the channel's own key of what carries the quantity, unique in the connection and stable.
        sku: the seller's code as the channel has it, None or empty where there is none.
        is_tracked: False where the channel keeps no quantity for it: such a listing is never pushed.
        is_writable: False for levels that may not be written (fulfilled by the marketplace, bundle parents).
        attributes: what the connector needs again when it writes (ids of parent, item ...); plain JSON strings.
    """

    listing_key: str
    sku: str | None
    title: str
    is_tracked: bool = True
    is_writable: bool = True
    barcode: str | None = None
    parent_key: str | None = None
    is_active: bool = True
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChannelLocation:
    """A place as the channel knows it."""

    channel_location_id: str
    name: str
    is_active: bool = True
    is_default: bool = False


# ------------------------------------------------------------------------------------------------------ stock


@dataclass(frozen=True, slots=True)
class ListingRef:
    """Names one listing to a stock function. `attributes` are those of the listing record."""

    listing_key: str
    channel_location_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedLevel:
    """What the channel says now. `available` is sellable there; None means not tracked or not stocked there."""

    listing_key: str
    available: int | None
    on_hand: int | None = None
    channel_location_id: str | None = None
    version: str | None = None
    """The channel's version token for compare-and-swap, where it has one."""
    note: str = ""
    """Why a level is None or odd, in plain words."""


@dataclass(frozen=True, slots=True)
class StockWrite:
    """One level to write. `expected` is the level just read (None: not known)."""

    listing: ListingRef
    quantity: int
    expected: int | None
    idempotency_key: str
    version: str | None = None


class PushResult(StrEnum):
    """What became of one row of a stock write."""

    APPLIED = "applied"
    STALE = "stale"
    """The level had changed since it was read: read again and compute again."""
    UNKNOWN = "unknown"
    """No answer, or an answer that cannot be trusted: read back."""
    RETRY = "retry"
    """Refused for now (throttled, locked); the same row may be sent again later."""
    REJECTED = "rejected"
    """Refused for good; goes to the dead letters with its reason."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """The channel's word on one row."""

    listing_key: str
    result: PushResult
    observed: int | None = None
    """The level after the write where the channel tells it."""
    reason: str = ""
    after_seconds: float = 0.0


# ------------------------------------------------------------------------------------------------ the channel


class PullMode(StrEnum):
    """How changes are found."""

    WATERMARK = "watermark"
    EVENT_QUEUE = "event_queue"
    FILE_DROP = "file_drop"


class RecordMode(StrEnum):
    """What a record is."""

    SNAPSHOT = "snapshot"
    """The whole order each time."""
    APPEND = "append"
    """Some rows of the order, which add to those before; even an equal one is news."""
    JOINED = "joined"
    """A version of the order, or something else about it (money that moved ...): all of them make the order, in
    whatever order they come; one that was known at any time before is no news."""


class StockWriteMode(StrEnum):
    """How a channel takes a level."""

    COMPARE_AND_SWAP = "compare_and_swap"
    DELTA = "delta"
    """`quantity − expected` of a write is added; with `has_idempotency_keys` once per key, however often it is sent."""
    ABSOLUTE = "absolute"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the flow needs to know about a channel."""

    pull_mode: PullMode = PullMode.WATERMARK
    record_mode: RecordMode = RecordMode.SNAPSHOT
    stock_write: StockWriteMode | None = None
    stock_batch_size: int = 1
    has_locations: bool = False
    tells_on_hand: bool = False
    """True where the channel tells on_hand; else its level already lacks the units of its open orders."""
    has_idempotency_keys: bool = False
    webhook: str | None = None
    """`full_payload`, `pointer` or None."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting or secret of a channel.

    `pattern` is a regular expression that a value must match in full; `choices` a closed list.
    """

    name: str
    description: str
    is_required: bool = False
    is_secret: bool = False
    default: str | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One step of a connection test."""

    step: str
    is_ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """What to connect to a running sandbox with."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str]


class RunningSandbox(Protocol):
    """A practice server on 127.0.0.1 (or a practice folder) that behaves as the channel does."""

    @property
    def account(self) -> SandboxAccount:
        """Return settings and secrets that connect to it."""

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Sell `sku -> quantity` as a buyer would, at once; the channel's own stock drops. Return the order id."""

    def level(self, sku: str) -> int | None:
        """Return the level that buyers see for a SKU, None where it keeps none."""

    def close(self) -> None:
        """Stop serving."""


class SandboxFactory(Protocol):
    """Starts a sandbox. `port` 0 takes a free one; the same seed gives the same shop."""

    def __call__(self, *, port: int = 0, orders: int = 60, seed: int = 1) -> RunningSandbox:
        """Start serving in the background and return the handle."""


OrderSource: TypeAlias = Callable[[ChannelSession, PullRequest], Iterator[RawPage]]
"""Yields pages from the request's cursor on. May fetch ahead (bounded). Raises the errors of `oms_hub.errors`."""

OrderLookup: TypeAlias = Callable[[ChannelSession, Sequence[str]], Iterator[RawPage]]
"""Fetches named orders; an id that no longer exists comes as a record of kind `order_tombstones`."""

OrderIds: TypeAlias = Callable[[ChannelSession, datetime, datetime], Iterator[str]]
"""Yields the ids of all orders that exist at the channel and were placed in [from, to), cheaply."""

ListingSource: TypeAlias = Callable[[ChannelSession], Iterator[Sequence[ListingRecord]]]
"""Yields all listings in batches."""

StockSource: TypeAlias = Callable[[ChannelSession, Sequence[ListingRef]], Iterator[ObservedLevel]]
"""Reads the present levels of the named listings."""

StockSink: TypeAlias = Callable[[ChannelSession, Sequence[StockWrite]], Sequence[PushOutcome]]
"""Writes at most `stock_batch_size` levels and gives one outcome for each, in any order. Raises only where no row
can have been applied (`RetryLater`, `NeedsReconnect`); a time-out after sending is UNKNOWN for its rows."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A kind of system that orders come from and levels go to.

    Attributes:
        split_page: pure; `(kind, body)` -> the page's records in order. Raises BadPayload if the page is unreadable.
        parse_order: pure; all raw payloads that make one order (one in snapshot mode, every known one in landing
            order in append and joined mode) -> the order. Raises BadPayload.
        check: tries the credentials step by step; never raises for a refusal, which is a result.
        check_settings: pure; raises Misconfigured for settings that cannot work, before any request.
        guide, oauth, file_feed: how the console connects an account (`oms_hub.channel.connecting`).
        revoke: takes the hub's access back at the channel, when an account is disconnected.
    """

    name: str
    title: str
    capabilities: Capabilities
    settings: Sequence[Setting]
    split_page: Callable[[str, bytes], Sequence[RawRecord]]
    parse_order: Callable[[Sequence[Payload], Connection], Order]
    check: Callable[[ChannelSession], Sequence[CheckResult]]
    check_settings: Callable[[Mapping[str, str]], None]
    order_source: OrderSource | None = None
    order_lookup: OrderLookup | None = None
    order_ids: OrderIds | None = None
    listing_source: ListingSource | None = None
    locations: Callable[[ChannelSession], Sequence[ChannelLocation]] | None = None
    stock_source: StockSource | None = None
    stock_sink: StockSink | None = None
    sandbox: SandboxFactory | None = None
    guide: ConnectGuide | None = None
    oauth: OAuthFlow | None = None
    file_feed: FileFeed | None = None
    revoke: Callable[[ChannelSession], None] | None = None
