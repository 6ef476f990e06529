"""The operations of the practice account: orders, money, listings, levels.

What belongs here: what is answered to whom, with the rules of the published descriptions. Not here: documents
(`sandbox_documents`), HTTP and limits (`sandbox_server`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.amazon import operations
from connectors.amazon.sandbox_account import NEWS_DELAY, Account
from connectors.amazon.sandbox_documents import Documents
from connectors.amazon.sandbox_query import ApiError, Reply, Request, invalid, pack, unpack
from connectors.amazon.sandbox_records import CURRENCY, MARKETPLACE_ID, MARKETPLACE_NAME, Good, OrderRecord
from connectors.amazon.sandbox_shown import fba_shown, listing_shown, order_shown
from oms_hub.domain.pull_windows import from_text, to_text

_DATA_SETS = (
    "BUYER", "RECIPIENT", "PROCEEDS", "EXPENSE", "PROMOTION", "CANCELLATION", "FULFILLMENT", "PACKAGES", "TAX",
    "PAYMENT", "FULFILLMENT_ORDERS",
)  # fmt: skip
_SEARCH = (
    "createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore", "fulfillmentStatuses", "marketplaceIds",
    "fulfilledBy", "maxResultsPerPage", "paginationToken", "includedData",
)  # fmt: skip
_TRANSACTIONS = (
    "postedAfter", "postedBefore", "marketplaceId", "transactionStatus", "relatedIdentifierName",
    "relatedIdentifierValue", "nextToken",
)  # fmt: skip
_LISTINGS = (
    "marketplaceIds", "issueLocale", "includedData", "identifiers", "identifiersType", "createdAfter", "createdBefore",
    "sortBy", "sortOrder", "pageSize", "pageToken",
)  # fmt: skip
_FBA = (
    "details", "granularityType", "granularityId", "startDateTime", "sellerSkus", "sellerSku", "nextToken",
    "marketplaceIds",
)  # fmt: skip
_TOKEN_LIFE = timedelta(hours=24)
_OLDEST = timedelta(days=730)
_TRANSACTIONS_PER_PAGE = 500
_MOST_LISTED = 1_000


class Routes:
    """Answers operations out of an account."""

    def __init__(self, account: Account, documents: Documents) -> None:
        self.account = account
        self.documents = documents
        self.transactions_per_page = _TRANSACTIONS_PER_PAGE
        self.most_listed = _MOST_LISTED
        self._answers: Mapping[str, Callable[[Request], Reply]] = {
            operations.SEARCH_ORDERS.name: self._search_orders,
            operations.GET_ORDER.name: self._get_order,
            operations.LIST_TRANSACTIONS.name: self._transactions,
            operations.SEARCH_LISTINGS.name: self._search_listings,
            operations.GET_LISTING.name: self._get_listing,
            operations.PATCH_LISTING.name: self._patch_listing,
            operations.FBA_SUMMARIES.name: self._fba,
            operations.PARTICIPATIONS.name: self._participations,
            **documents.answers,
        }

    def answer(self, operation: str, request: Request) -> Reply:
        """Return the answer to an operation.

        Raises:
            ApiError: a refusal.
        """
        with self.account.lock:
            return self._answers[operation](request)

    # ------------------------------------------------------------------------------------------------ orders

    def _search_orders(self, request: Request) -> Reply:
        request.check(_SEARCH)
        by = "created" if "createdAfter" in request.query else "lastUpdated"
        other = "lastUpdated" if by == "created" else "created"
        if f"{by}After" not in request.query or f"{other}After" in request.query or f"{other}Before" in request.query:
            raise invalid("exactly one of createdAfter and lastUpdatedAfter must be given")
        after, before = self._bounds(request, by)
        self._check_marketplaces(request)
        included = self._included(request)
        size = request.number("maxResultsPerPage", default=100, most=100)
        state = self._page_state(request)
        before = from_text(state["before"]) if state else before
        start = (from_text(state["time"]), state["id"]) if state else (after, "")
        found = sorted(
            (order for order in self.account.orders.values() if after <= _time(order, by) <= before),
            key=lambda order: (_time(order, by), order.order_id),
        )
        rest = [order for order in found if (_time(order, by), order.order_id) > start]
        page: dict[str, Any] = {"orders": [order_shown(order, included) for order in rest[:size]]}
        if len(rest) > size:
            last = rest[size - 1]
            page["pagination"] = {"nextToken": self._token(request, last, by, before)}
        return Reply({**page, f"{by}Before": to_text(before)})

    def _bounds(self, request: Request, by: str) -> tuple[datetime, datetime]:
        now = self.account.now()
        latest = now - NEWS_DELAY
        after, before = request.instant(f"{by}After"), request.instant(f"{by}Before")
        if before is not None and (after is None or before < after or before > latest):
            raise invalid(f"{by}Before must be after {by}After and two minutes before now")
        if after is None or after > latest:
            raise invalid(f"{by}After must be two minutes before now")
        return max(after, now - _OLDEST), before or latest

    def _token(self, request: Request, last: OrderRecord, by: str, before: datetime) -> str:
        state = {
            "time": to_text(_time(last, by)),
            "id": last.order_id,
            "before": to_text(before),
            "until": to_text(self.account.now() + _TOKEN_LIFE),
            "filters": _filters(request),
        }
        return pack(state)

    def _page_state(self, request: Request) -> dict[str, Any] | None:
        token = request.query.get("paginationToken")
        if token is None:
            return None
        state = unpack(token)
        if state.get("filters") != _filters(request) or from_text(state["until"]) < self.account.now():
            raise invalid("paginationToken belongs to another request, or is too old")
        return state

    def _check_marketplaces(self, request: Request, *, most: int = 50, is_required: bool = False) -> None:
        asked = request.listed("marketplaceIds", most=most)
        if (is_required and not asked) or any(each != MARKETPLACE_ID for each in asked):
            raise invalid("marketplaceIds names a marketplace that the account does not sell in")

    def _included(self, request: Request) -> Sequence[str]:
        included = request.listed("includedData")
        if not set(included) <= set(_DATA_SETS):
            raise invalid("includedData names an unknown data set")
        return included

    def _get_order(self, request: Request) -> Reply:
        request.check(("includedData",))
        order = self.account.orders.get(request.place["orderId"])
        if order is None:
            raise ApiError(404, "NotFound", "The order is not there")
        return Reply({"order": order_shown(order, self._included(request))})

    # ------------------------------------------------------------------------------------------------- money

    def _transactions(self, request: Request) -> Reply:
        request.check(_TRANSACTIONS, ("postedAfter",))
        after, before = request.instant("postedAfter"), request.instant("postedBefore")
        latest = self.account.now() - NEWS_DELAY
        before = latest if before is None else before
        if after is None or after > latest or before > latest or before < after:
            raise invalid("postedAfter and postedBefore must be in order and two minutes before now")
        found = [posted for posted in self.account.transactions if after <= from_text(posted["postedDate"]) < before]
        if before - after > timedelta(days=180):
            found = []
        token = request.query.get("nextToken")
        start = 0 if token is None else int(unpack(token)["start"])
        page: dict[str, Any] = {"transactions": found[start : start + self.transactions_per_page]}
        if start + self.transactions_per_page < len(found):
            page["nextToken"] = pack({"start": start + self.transactions_per_page})
        return Reply({"payload": page})

    # ---------------------------------------------------------------------------------------------- listings

    def _search_listings(self, request: Request) -> Reply:
        request.check(_LISTINGS, ("marketplaceIds",))
        self._check_seller(request)
        self._check_marketplaces(request, is_required=True)
        size = request.number("pageSize", default=10, most=20)
        found = self._listed(request)[: self.most_listed]
        token = request.query.get("pageToken")
        start = 0 if token is None else int(unpack(token)["start"])
        included = request.listed("includedData") or ["summaries"]
        page: dict[str, Any] = {
            "numberOfResults": len(found),
            "items": [listing_shown(good, included) for good in found[start : start + size]],
        }
        if start + size < len(found):
            page["pagination"] = {"nextToken": pack({"start": start + size})}
        return Reply(page)

    def _listed(self, request: Request) -> list[Good]:
        named = request.listed("identifiers", most=20)
        if bool(named) != (request.query.get("identifiersType") == "SKU"):
            raise invalid("identifiers and identifiersType go together")
        after = request.instant("createdAfter")
        found = [
            good
            for good in self.account.goods.values()
            if (not named or good.sku in named)
            and (after is None or (good.created_at is not None and good.created_at >= after))
        ]
        for good in found:
            self.account.level(good.sku)  # what was accepted becomes live
        is_down = request.query.get("sortOrder", "DESC") == "DESC"
        return sorted(found, key=lambda good: (str(good.created_at), good.sku), reverse=is_down)

    def _check_seller(self, request: Request) -> None:
        if request.place["sellerId"] != self.account.seller_id:
            raise ApiError(403, "Unauthorized", "Access to requested resource is denied.")

    def _good(self, request: Request) -> Good | None:
        self._check_seller(request)
        self._check_marketplaces(request, is_required=True)
        return self.account.goods.get(request.place["sku"])

    def _get_listing(self, request: Request) -> Reply:
        request.check(("marketplaceIds", "issueLocale", "includedData"), ("marketplaceIds",))
        good = self._good(request)
        if good is None:
            raise ApiError(404, "NOT_FOUND", "SKU is not there")
        self.account.level(good.sku)
        return Reply(listing_shown(good, request.listed("includedData") or ["summaries"]))

    def _patch_listing(self, request: Request) -> Reply:
        request.check(("marketplaceIds", "includedData", "mode", "issueLocale"), ("marketplaceIds",))
        good = self._good(request)
        if good is None:
            raise ApiError(400, "BAD_REQUEST", "Invalid input", "the SKU is not there")
        issue = patch_issue(good, request.payload)
        number = self.account.next_number()
        answer = {"sku": good.sku, "status": "ACCEPTED", "submissionId": f"SUBMISSION-{number}", "issues": []}
        if issue is not None:
            return Reply({**answer, "status": "INVALID", "issues": [issue]})
        if request.query.get("mode") == "VALIDATION_PREVIEW":
            return Reply({**answer, "status": "VALID"})
        apply_patches(self.account, good, request.payload)
        return Reply(answer)

    def _fba(self, request: Request) -> Reply:
        request.check(_FBA, ("granularityType", "granularityId", "marketplaceIds"))
        self._check_marketplaces(request, most=1)
        named = request.listed("sellerSkus", most=50) or (
            [request.query["sellerSku"]] if "sellerSku" in request.query else []
        )
        found = [
            good
            for good in self.account.goods.values()
            if (good.code or "").startswith("AMAZON_") and (not named or good.sku in named)
        ]
        granularity = {"granularityType": "Marketplace", "granularityId": MARKETPLACE_ID}
        summaries = [fba_shown(good) for good in found]
        return Reply({"payload": {"granularity": granularity, "inventorySummaries": summaries}})

    def _participations(self, request: Request) -> Reply:
        request.check(())
        marketplace = {
            "id": MARKETPLACE_ID, "name": MARKETPLACE_NAME, "countryCode": "MX", "defaultCurrencyCode": CURRENCY,
            "defaultLanguageCode": "es_MX", "domainName": "www.amazon.com.mx",
        }  # fmt: skip
        participation = {"isParticipating": True, "hasSuspendedListings": False}
        row = {"marketplace": marketplace, "storeName": "Practice store", "participation": participation}
        return Reply({"payload": [row]})


def _time(order: OrderRecord, by: str) -> datetime:
    return order.placed_at if by == "created" else order.updated_at


def _filters(request: Request) -> dict[str, str]:
    """Return what must stay the same from page to page."""
    changeable = {"paginationToken", "maxResultsPerPage", "includedData"}
    return {name: value for name, value in sorted(request.query.items()) if name not in changeable}


def patch_issue(good: Good, payload: Any) -> dict[str, Any] | None:
    """Return why a patch is refused, None where it is not."""
    if not isinstance(payload, dict) or not payload.get("productType") or not payload.get("patches"):
        raise ApiError(400, "BAD_REQUEST", "Invalid input", "productType and patches are needed")
    message = ""
    if payload["productType"] != good.product_type:
        message = f"The product type is not {good.product_type}."
    elif good.code != "DEFAULT":
        message = "The listing is not fulfilled by the merchant."
    elif any(row.get("quantity", -1) < 0 for patch in payload["patches"] for row in patch.get("value", ())):
        message = "The quantity is not a number from 0 on."
    if not message:
        return None
    return {
        "code": "90000900", "message": message, "severity": "ERROR", "attributeNames": ["fulfillment_availability"],
        "categories": ["INVALID_ATTRIBUTE"],
    }  # fmt: skip


def apply_patches(account: Account, good: Good, payload: Mapping[str, Any]) -> None:
    """Carry out patches of the availability: `replace` wipes what it does not name, `merge` leaves it."""
    for patch in payload["patches"]:
        for row in patch["value"]:
            if patch["op"] == "replace":
                good.lead_time_days = row.get("lead_time_to_ship_max_days", 0)
            account.accept_level(good.sku, int(row["quantity"]))
