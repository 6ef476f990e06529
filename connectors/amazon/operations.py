"""The operations of the Selling Partner API that the hub uses, each with its published usage plan.

What belongs here: names, paths and limits, as data. Not here: sending (`api`).
A bucket stands for one operation of one seller and app. Sellers may have more than the published rate; answers tell it.
Source: amzn/selling-partner-api-models @34dc93f (2026-08-05), the usage plans in the operations' descriptions.
JSON_LISTINGS_FEED: developer-docs.amazon.com/sp-api/changelog, 2025-05: 5 submissions in 5 minutes per region.
"""

from __future__ import annotations

from dataclasses import dataclass

from oms_hub.channel.rate_limit import BucketLimit


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `path` is a template; `role` is what the app needs for it, named when it is refused."""

    name: str
    method: str
    path: str
    limit: BucketLimit
    role: str


_ORDERS, _LISTINGS, _FINANCE = "Inventory and Order Tracking", "Product Listing", "Finance and Accounting"
_FBA = "Amazon Fulfillment"

SEARCH_ORDERS = Operation("searchOrders", "GET", "/orders/2026-01-01/orders", BucketLimit(20, 0.0056), _ORDERS)
GET_ORDER = Operation("getOrder", "GET", "/orders/2026-01-01/orders/{orderId}", BucketLimit(30, 0.5), _ORDERS)
LIST_TRANSACTIONS = Operation(
    "listTransactions", "GET", "/finances/2024-06-19/transactions", BucketLimit(10, 0.5), _FINANCE
)
CREATE_REPORT = Operation("createReport", "POST", "/reports/2021-06-30/reports", BucketLimit(15, 0.0167), _ORDERS)
GET_REPORT = Operation("getReport", "GET", "/reports/2021-06-30/reports/{reportId}", BucketLimit(15, 2), _ORDERS)
GET_REPORT_DOCUMENT = Operation(
    "getReportDocument", "GET", "/reports/2021-06-30/documents/{reportDocumentId}", BucketLimit(15, 0.0167), _ORDERS
)
SEARCH_LISTINGS = Operation(
    "searchListingsItems", "GET", "/listings/2021-08-01/items/{sellerId}", BucketLimit(5, 5), _LISTINGS
)
GET_LISTING = Operation(
    "getListingsItem", "GET", "/listings/2021-08-01/items/{sellerId}/{sku}", BucketLimit(10, 5), _LISTINGS
)
PATCH_LISTING = Operation(
    "patchListingsItem", "PATCH", "/listings/2021-08-01/items/{sellerId}/{sku}", BucketLimit(5, 5), _LISTINGS
)
FBA_SUMMARIES = Operation("getInventorySummaries", "GET", "/fba/inventory/v1/summaries", BucketLimit(2, 2), _FBA)
CREATE_FEED_DOCUMENT = Operation(
    "createFeedDocument", "POST", "/feeds/2021-06-30/documents", BucketLimit(15, 0.5), _LISTINGS
)
CREATE_FEED = Operation("createFeed", "POST", "/feeds/2021-06-30/feeds", BucketLimit(15, 0.0083), _LISTINGS)
GET_FEED = Operation("getFeed", "GET", "/feeds/2021-06-30/feeds/{feedId}", BucketLimit(15, 2), _LISTINGS)
GET_FEED_DOCUMENT = Operation(
    "getFeedDocument", "GET", "/feeds/2021-06-30/documents/{feedDocumentId}", BucketLimit(10, 0.0222), _LISTINGS
)
PARTICIPATIONS = Operation(
    "getMarketplaceParticipations",
    "GET",
    "/sellers/v1/marketplaceParticipations",
    BucketLimit(15, 0.016),
    "Selling Partner Insights",
)

OPERATIONS = (
    SEARCH_ORDERS, GET_ORDER, LIST_TRANSACTIONS, CREATE_REPORT, GET_REPORT, GET_REPORT_DOCUMENT, SEARCH_LISTINGS,
    GET_LISTING, PATCH_LISTING, FBA_SUMMARIES, CREATE_FEED_DOCUMENT, CREATE_FEED, GET_FEED, GET_FEED_DOCUMENT,
    PARTICIPATIONS,
)  # fmt: skip
