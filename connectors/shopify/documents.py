"""Every GraphQL document that the connector sends, as text.

What belongs here: documents and the fields they select. Not here: sending them (`api`), or making sense of what
comes back (`parse`, `listings`, `stock`). A test validates each of them against the published 2026-10 schema.

Selections keep three rules: money always as `...Set` (bare amounts are deprecated), names and addresses of buyers
never, and whatever hangs on a scope of its own (`returns`, `fulfillmentOrders`, `customer`) behind a variable: these
fields are not nullable, so asking without the scope would cost the whole answer, not the field.

Source: the published admin schema 2026-10, read 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass

API_VERSION = "2026-10"
"""The version all documents are written for; Shopify supports each for about a year."""

ROWS_MAX = 250
"""Most nodes per connection, and most entries of an input list. Source: shopify.dev api/usage/limits, 2026-11-22."""


@dataclass(frozen=True, slots=True)
class Document:
    """One operation.

    Attributes:
        name: of the operation.
        root: the field that an answer must hold; one without it answers something else (a stale cache).
        text: what is sent.
        is_write: marks mutations: the transport never sends them twice.
    """

    name: str
    root: str
    text: str
    is_write: bool = False


_MONEY = "shopMoney { amount currencyCode }"
_TAXES = f"taxLines {{ title rate channelLiable priceSet {{ {_MONEY} }} }}"
_PAGE = "pageInfo { hasNextPage endCursor }"
_ALLOCATIONS = (
    f"discountAllocations {{ allocatedAmountSet {{ {_MONEY} }} discountApplication {{ __typename index "
    "allocationMethod targetSelection targetType ... on DiscountCodeApplication { code } "
    "... on ManualDiscountApplication { title } ... on AutomaticDiscountApplication { title } "
    "... on ScriptDiscountApplication { title } } }"
)
_TRANSACTION = f"id kind status gateway test createdAt processedAt amountSet {{ {_MONEY} }}"

_LINE = (
    "__typename id sku name quantity currentQuantity requiresShipping isGiftCard "
    f"originalUnitPriceSet {{ {_MONEY} }} {_ALLOCATIONS} {_TAXES} variant {{ id inventoryItem {{ id tracked }} }}"
)
_SHIPPING = f"__typename id title code discountedPriceSet {{ {_MONEY} }} {_ALLOCATIONS} {_TAXES}"
_RETURN_HEAD = "__typename id"
_TASK_HEAD = "__typename id status fulfillBy deliveryMethod { methodType }"

_HEAD = (
    "id name createdAt updatedAt processedAt cancelledAt closedAt cancelReason test edited sourceName "
    "currencyCode presentmentCurrencyCode taxesIncluded displayFinancialStatus displayFulfillmentStatus returnStatus "
    "totalPriceSet { shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } } "
    f"currentTotalPriceSet {{ {_MONEY} }} totalTipReceivedSet {{ {_MONEY} }} originalTotalDutiesSet {{ {_MONEY} }} "
    f"totalCashRoundingAdjustment {{ paymentSet {{ {_MONEY} }} }} "
    f"additionalFees {{ id name price {{ {_MONEY} }} {_TAXES} }} "
    "customer @include(if: $withCustomer) { id } "
    f"transactions(first: {ROWS_MAX}) {{ {_TRANSACTION} }} "
    f"refunds(first: {ROWS_MAX}) {{ id }} fulfillments(first: {ROWS_MAX}) {{ id }}"
)
_ORDER = (
    f"__typename {_HEAD} "
    f"lineItems(first: $nested) {{ {_PAGE} nodes {{ {_LINE} }} }} "
    f"shippingLines(first: 3) {{ {_PAGE} nodes {{ {_SHIPPING} }} }} "
    f"returns(first: 3) @include(if: $withReturns) {{ {_PAGE} nodes {{ {_RETURN_HEAD} }} }} "
    f"fulfillmentOrders(first: 3) @include(if: $withTasks) {{ {_PAGE} nodes {{ {_TASK_HEAD} }} }}"
)
_SWITCHES = "$withCustomer: Boolean!, $withReturns: Boolean!, $withTasks: Boolean!"

ORDERS_PAGE = Document(
    "OrdersPage",
    "orders",
    f"query OrdersPage($first: Int!, $after: String, $query: String, $nested: Int!, {_SWITCHES}) {{ "
    "orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) "
    f"{{ {_PAGE} nodes {{ {_ORDER} }} }} }}",
)
ORDERS_BY_ID = Document(
    "OrdersById",
    "nodes",
    f"query OrdersById($ids: [ID!]!, $nested: Int!, {_SWITCHES}) {{ "
    f"nodes(ids: $ids) {{ ... on Order {{ {_ORDER} }} }} }}",
)
ORDER_IDS = Document(
    "OrderIds",
    "orders",
    "query OrderIds($first: Int!, $after: String, $query: String!) { "
    "orders(first: $first, after: $after, query: $query, sortKey: PROCESSED_AT) "
    f"{{ {_PAGE} nodes {{ id processedAt }} }} }}",
)

_OWNER = "order { id updatedAt }"
_NODES_OF: dict[tuple[str, str], str] = {
    ("Order", "lineItems"): _LINE,
    ("Order", "shippingLines"): _SHIPPING,
    ("Order", "returns"): _RETURN_HEAD,
    ("Order", "fulfillmentOrders"): _TASK_HEAD,
    ("Refund", "refundLineItems"): (
        "id quantity restockType restocked location { id } lineItem { id } "
        f"subtotalSet {{ {_MONEY} }} totalTaxSet {{ {_MONEY} }}"
    ),
    ("Refund", "refundShippingLines"): f"id subtotalAmountSet {{ {_MONEY} }} taxAmountSet {{ {_MONEY} }}",
    ("Refund", "orderAdjustments"): f"id reason amountSet {{ {_MONEY} }} taxAmountSet {{ {_MONEY} }}",
    ("Refund", "transactions"): _TRANSACTION,
    ("Fulfillment", "fulfillmentLineItems"): "id quantity lineItem { id }",
    ("Return", "returnLineItems"): (
        "__typename id quantity returnReasonDefinition { name } "
        "... on ReturnLineItem { fulfillmentLineItem { id lineItem { id } } }"
    ),
    ("FulfillmentOrder", "lineItems"): "id remainingQuantity totalQuantity lineItem { id }",
}
"""What is selected of each node, by (type, connection): the first page and the rest must select the same."""

CONNECTIONS: dict[str, tuple[str, ...]] = {
    owner: tuple(name for kind, name in _NODES_OF if kind == owner) for owner in dict.fromkeys(k for k, _ in _NODES_OF)
}
"""The paged connections of each type, in the order they are fetched."""

_PIECE_HEADS = {
    "Refund": f"createdAt processedAt duties {{ amountSet {{ {_MONEY} }} }}",
    "Fulfillment": (
        "status displayStatus createdAt updatedAt deliveredAt location { id } trackingInfo(first: 5) "
        "{ company number url }"
    ),
    "Return": "name status createdAt closedAt",
    "FulfillmentOrder": "status assignedLocation { location { id } }",
}
PIECE_TYPES = tuple(_PIECE_HEADS)
"""What hangs on an order and is fetched by its own id, many at a time."""


def _piece_document(kind: str) -> Document:
    connections = " ".join(
        f"{name}(first: $nested) {{ {_PAGE} nodes {{ {_NODES_OF[kind, name]} }} }}" for name in CONNECTIONS[kind]
    )
    return Document(
        f"{kind}Pieces",
        "nodes",
        f"query {kind}Pieces($ids: [ID!]!, $nested: Int!) {{ nodes(ids: $ids) {{ __typename id "
        f"... on {kind} {{ {_OWNER} {_PIECE_HEADS[kind]} {connections} }} }} }}",
    )


def _rest_document(kind: str, connection: str) -> Document:
    owner = "updatedAt" if kind == "Order" else _OWNER
    name = f"{kind}{connection[0].upper()}{connection[1:]}Rest"
    return Document(
        name,
        "node",
        f"query {name}($id: ID!, $first: Int!, $after: String) "
        f"{{ node(id: $id) {{ __typename id ... on {kind} {{ {owner} {connection}(first: $first, after: $after) "
        f"{{ {_PAGE} nodes {{ {_NODES_OF[kind, connection]} }} }} }} }} }}",
    )


PIECES = {kind: _piece_document(kind) for kind in PIECE_TYPES}
REST = {key: _rest_document(*key) for key in _NODES_OF}


# ------------------------------------------------------------------------------------------------------ backfill


def bulk_orders(*, query: str, with_customer: bool, with_returns: bool, with_tasks: bool) -> str:
    """Return the query that a bulk export of orders runs: at most five connections, one level of nesting.

    Connections inside lists (`refunds { refundLineItems }`) are not possible in bulk; the lists give the ids, and
    the pieces are fetched by id afterwards. Every parent selects its `id`, which the children's `__parentId` names.

    Args:
        query: the search text for orders, empty for all; must hold no double quote.
        with_customer: the token may read customers.
        with_returns: the token may read returns.
        with_tasks: the token may read fulfilment orders.
    """
    head = _HEAD.replace("customer @include(if: $withCustomer) { id } ", "customer { id } " if with_customer else "")
    found = [f"lineItems {{ edges {{ node {{ {_LINE} }} }} }}"]
    found.append(f"shippingLines {{ edges {{ node {{ {_SHIPPING} }} }} }}")
    if with_returns:
        found.append(f"returns {{ edges {{ node {{ {_RETURN_HEAD} }} }} }}")
    if with_tasks:
        found.append(f"fulfillmentOrders {{ edges {{ node {{ {_TASK_HEAD} }} }} }}")
    chosen = f'(query: "{query}")' if query else ""
    return f"{{ orders{chosen} {{ edges {{ node {{ __typename {head} {' '.join(found)} }} }} }} }}"


BULK_START = Document(
    "BulkStart",
    "bulkOperationRunQuery",
    "mutation BulkStart($query: String!) { bulkOperationRunQuery(query: $query, groupObjects: false) "
    "{ bulkOperation { id status createdAt } userErrors { code field message } } }",
    is_write=True,
)
BULK_STATUS = Document(
    "BulkStatus",
    "bulkOperation",
    "query BulkStatus($id: ID!) { bulkOperation(id: $id) "
    "{ id status errorCode createdAt completedAt objectCount url partialDataUrl } }",
)

# ------------------------------------------------------------------------------------------- listings and stock

VARIANTS_PAGE = Document(
    "VariantsPage",
    "productVariants",
    "query VariantsPage($first: Int!, $after: String) { productVariants(first: $first, after: $after, sortKey: ID) "
    f"{{ {_PAGE} nodes {{ id sku barcode displayName requiresComponents product {{ id status }} "
    "inventoryItem { id sku tracked duplicateSkuCount } } } }",
)
LOCATIONS_PAGE = Document(
    "LocationsPage",
    "locations",
    "query LocationsPage($first: Int!, $after: String) { locations(first: $first, after: $after, "
    f"includeInactive: true, includeLegacy: true) {{ {_PAGE} nodes {{ id name isActive isFulfillmentService "
    "fulfillsOnlineOrders } } }",
)
LEVELS = Document(
    "Levels",
    "nodes",
    "query Levels($ids: [ID!]!, $location: ID!) { nodes(ids: $ids) { ... on InventoryItem { id tracked "
    "inventoryLevel(locationId: $location, includeInactive: true) { id isActive "
    'quantities(names: ["available", "on_hand"]) { name quantity } } } } }',
)
SET_QUANTITIES = Document(
    "SetQuantities",
    "inventorySetQuantities",
    "mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) { "
    "inventorySetQuantities(input: $input) @idempotent(key: $key) { inventoryAdjustmentGroup { id "
    "changes { name quantityAfterChange item { id } location { id } } } userErrors { code field message } } }",
    is_write=True,
)
ACTIVATE = Document(
    "Activate",
    "inventoryActivate",
    "mutation Activate($item: ID!, $location: ID!, $available: Int!, $key: String!) { inventoryActivate("
    "inventoryItemId: $item, locationId: $location, available: $available) @idempotent(key: $key) "
    '{ inventoryLevel { id quantities(names: ["available"]) { name quantity } } userErrors { field message } } }',
    is_write=True,
)

# -------------------------------------------------------------------------------------------------------- checks

SHOP = Document("Shop", "shop", "query Shop { shop { id name myshopifyDomain currencyCode ianaTimezone } }")
SCOPES = Document(
    "Scopes", "currentAppInstallation", "query Scopes { currentAppInstallation { id accessScopes { handle } } }"
)
SAMPLE_ORDER = Document(
    "SampleOrder", "orders", "query SampleOrder { orders(first: 1, sortKey: UPDATED_AT) { nodes { id name } } }"
)
SAMPLE_LISTING = Document(
    "SampleListing",
    "productVariants",
    "query SampleListing { productVariants(first: 1) { nodes { id inventoryItem { id sku } } } }",
)

ALL_DOCUMENTS: tuple[Document, ...] = (
    ORDERS_PAGE,
    ORDERS_BY_ID,
    ORDER_IDS,
    *PIECES.values(),
    *REST.values(),
    BULK_START,
    BULK_STATUS,
    VARIANTS_PAGE,
    LOCATIONS_PAGE,
    LEVELS,
    SET_QUANTITIES,
    ACTIVATE,
    SHOP,
    SCOPES,
    SAMPLE_ORDER,
    SAMPLE_LISTING,
)
"""For tests and for the curious: everything that can be sent, except what a bulk export runs (`bulk_orders`)."""
