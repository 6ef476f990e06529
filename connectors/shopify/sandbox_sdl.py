"""The practice shop's schema: only what the connector uses, with the names and nullability of the published one.

What belongs here: the schema text. A test holds every answer of the sandbox against the published schema.
"""

from __future__ import annotations

_CONNECTED = (
    "Order", "LineItem", "ShippingLine", "Return", "FulfillmentOrder", "RefundLineItem", "RefundShippingLine",
    "OrderAdjustment", "OrderTransaction", "FulfillmentLineItem", "ReturnLineItemType", "FulfillmentOrderLineItem",
    "ProductVariant", "Location",
)  # fmt: skip

_CONNECTIONS = "\n".join(
    f"type {name}Connection {{ nodes: [{name}!]! edges: [{name}Edge!]! pageInfo: PageInfo! }}\n"
    f"type {name}Edge {{ node: {name}! cursor: String! }}"
    for name in _CONNECTED
)

SDL = (
    _CONNECTIONS
    + """
directive @idempotent(key: String!) on FIELD
scalar DateTime
scalar Decimal
scalar URL
scalar UnsignedInt64
schema { query: QueryRoot mutation: Mutation }
interface Node { id: ID! }
type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
type MoneyV2 { amount: Decimal! currencyCode: CurrencyCode! }
type MoneyBag { shopMoney: MoneyV2! presentmentMoney: MoneyV2! }
enum CurrencyCode { MXN USD EUR }
enum OrderSortKeys { ID UPDATED_AT CREATED_AT PROCESSED_AT }
enum ProductVariantSortKeys { ID SKU }

type QueryRoot {
  orders(first: Int, after: String, query: String, sortKey: OrderSortKeys = PROCESSED_AT): OrderConnection!
  nodes(ids: [ID!]!): [Node]!
  node(id: ID!): Node
  productVariants(first: Int, after: String, sortKey: ProductVariantSortKeys = ID): ProductVariantConnection!
  locations(first: Int, after: String, includeInactive: Boolean = false, includeLegacy: Boolean = false):
    LocationConnection!
  shop: Shop!
  currentAppInstallation: AppInstallation!
  bulkOperation(id: ID!): BulkOperation
}
type Mutation {
  inventorySetQuantities(input: InventorySetQuantitiesInput!): InventorySetQuantitiesPayload
  inventoryActivate(inventoryItemId: ID!, locationId: ID!, available: Int): InventoryActivatePayload
  bulkOperationRunQuery(query: String!, groupObjects: Boolean! = false): BulkOperationRunQueryPayload
}

type Shop { id: ID! name: String! myshopifyDomain: String! currencyCode: CurrencyCode! ianaTimezone: String! }
type AppInstallation implements Node { id: ID! accessScopes: [AccessScope!]! }
type AccessScope { handle: String! }

type Order implements Node {
  id: ID! name: String! createdAt: DateTime! updatedAt: DateTime! processedAt: DateTime! cancelledAt: DateTime
  closedAt: DateTime cancelReason: OrderCancelReason test: Boolean! edited: Boolean! sourceName: String
  currencyCode: CurrencyCode! presentmentCurrencyCode: CurrencyCode! taxesIncluded: Boolean!
  displayFinancialStatus: OrderDisplayFinancialStatus displayFulfillmentStatus: OrderDisplayFulfillmentStatus!
  returnStatus: OrderReturnStatus! totalPriceSet: MoneyBag! currentTotalPriceSet: MoneyBag!
  totalTipReceivedSet: MoneyBag! originalTotalDutiesSet: MoneyBag totalCashRoundingAdjustment: CashRoundingAdjustment!
  additionalFees: [AdditionalFee!]! customer: Customer transactions(first: Int): [OrderTransaction!]!
  refunds(first: Int): [Refund!]! fulfillments(first: Int): [Fulfillment!]!
  lineItems(first: Int, after: String): LineItemConnection!
  shippingLines(first: Int, after: String): ShippingLineConnection!
  returns(first: Int, after: String): ReturnConnection!
  fulfillmentOrders(first: Int, after: String): FulfillmentOrderConnection!
}
enum OrderCancelReason { CUSTOMER DECLINED FRAUD INVENTORY OTHER STAFF }
enum OrderDisplayFinancialStatus {
  AUTHORIZED EXPIRED PAID PARTIALLY_PAID PARTIALLY_REFUNDED PENDING REFUNDED VOIDED
}
enum OrderDisplayFulfillmentStatus { FULFILLED PARTIALLY_FULFILLED UNFULFILLED RESTOCKED ON_HOLD }
enum OrderReturnStatus { NO_RETURN IN_PROGRESS RETURNED }
type CashRoundingAdjustment { paymentSet: MoneyBag! }
type AdditionalFee implements Node { id: ID! name: String! price: MoneyBag! taxLines: [TaxLine!]! }
type Customer implements Node { id: ID! }
type OrderTransaction implements Node {
  id: ID! kind: OrderTransactionKind! status: OrderTransactionStatus! gateway: String test: Boolean!
  createdAt: DateTime! processedAt: DateTime amountSet: MoneyBag!
}
enum OrderTransactionKind { AUTHORIZATION SALE REFUND CAPTURE VOID }
enum OrderTransactionStatus { SUCCESS PENDING FAILURE }
type TaxLine { title: String! rate: Float channelLiable: Boolean priceSet: MoneyBag! }
type DiscountAllocation { allocatedAmountSet: MoneyBag! discountApplication: DiscountApplication! }
interface DiscountApplication {
  index: Int! allocationMethod: DiscountApplicationAllocationMethod!
  targetSelection: DiscountApplicationTargetSelection! targetType: DiscountApplicationTargetType!
}
type DiscountCodeApplication implements DiscountApplication {
  index: Int! allocationMethod: DiscountApplicationAllocationMethod!
  targetSelection: DiscountApplicationTargetSelection! targetType: DiscountApplicationTargetType! code: String!
}
type ManualDiscountApplication implements DiscountApplication {
  index: Int! allocationMethod: DiscountApplicationAllocationMethod!
  targetSelection: DiscountApplicationTargetSelection! targetType: DiscountApplicationTargetType! title: String!
}
type AutomaticDiscountApplication implements DiscountApplication {
  index: Int! allocationMethod: DiscountApplicationAllocationMethod!
  targetSelection: DiscountApplicationTargetSelection! targetType: DiscountApplicationTargetType! title: String!
}
type ScriptDiscountApplication implements DiscountApplication {
  index: Int! allocationMethod: DiscountApplicationAllocationMethod!
  targetSelection: DiscountApplicationTargetSelection! targetType: DiscountApplicationTargetType! title: String!
}
enum DiscountApplicationAllocationMethod { ACROSS EACH }
enum DiscountApplicationTargetSelection { ALL ENTITLED EXPLICIT }
enum DiscountApplicationTargetType { LINE_ITEM SHIPPING_LINE }
type LineItem implements Node {
  id: ID! sku: String name: String! quantity: Int! currentQuantity: Int! requiresShipping: Boolean!
  isGiftCard: Boolean! originalUnitPriceSet: MoneyBag! discountAllocations: [DiscountAllocation!]!
  taxLines(first: Int): [TaxLine!]! variant: ProductVariant
}
type ShippingLine {
  id: ID title: String! code: String discountedPriceSet: MoneyBag! discountAllocations: [DiscountAllocation!]!
  taxLines: [TaxLine!]!
}
type Refund implements Node {
  id: ID! order: Order! createdAt: DateTime processedAt: DateTime! duties: [RefundDuty!]
  refundLineItems(first: Int, after: String): RefundLineItemConnection!
  refundShippingLines(first: Int, after: String): RefundShippingLineConnection!
  orderAdjustments(first: Int, after: String): OrderAdjustmentConnection!
  transactions(first: Int, after: String): OrderTransactionConnection!
}
type RefundDuty { amountSet: MoneyBag! }
type RefundLineItem {
  id: ID quantity: Int! restockType: RefundLineItemRestockType! restocked: Boolean! location: Location
  lineItem: LineItem! subtotalSet: MoneyBag! totalTaxSet: MoneyBag!
}
enum RefundLineItemRestockType { CANCEL LEGACY_RESTOCK NO_RESTOCK RETURN }
type RefundShippingLine implements Node { id: ID! subtotalAmountSet: MoneyBag! taxAmountSet: MoneyBag! }
type OrderAdjustment implements Node {
  id: ID! reason: OrderAdjustmentDiscrepancyReason amountSet: MoneyBag! taxAmountSet: MoneyBag!
}
enum OrderAdjustmentDiscrepancyReason { CUSTOMER DAMAGE REFUND_DISCREPANCY RESTOCK }
type Fulfillment implements Node {
  id: ID! order: Order! status: FulfillmentStatus! displayStatus: FulfillmentDisplayStatus createdAt: DateTime!
  updatedAt: DateTime! deliveredAt: DateTime location: Location trackingInfo(first: Int): [FulfillmentTrackingInfo!]!
  fulfillmentLineItems(first: Int, after: String): FulfillmentLineItemConnection!
}
enum FulfillmentStatus { CANCELLED ERROR FAILURE SUCCESS }
enum FulfillmentDisplayStatus { FULFILLED DELIVERED CANCELED }
type FulfillmentTrackingInfo { company: String number: String url: URL }
type FulfillmentLineItem implements Node { id: ID! quantity: Int lineItem: LineItem! }
type Return implements Node {
  id: ID! order: Order! name: String! status: ReturnStatus! createdAt: DateTime! closedAt: DateTime
  returnLineItems(first: Int, after: String): ReturnLineItemTypeConnection!
}
enum ReturnStatus { CANCELED CLOSED DECLINED OPEN REQUESTED }
interface ReturnLineItemType implements Node {
  id: ID! quantity: Int! returnReasonDefinition: ReturnReasonDefinition
}
type ReturnLineItem implements ReturnLineItemType & Node {
  id: ID! quantity: Int! returnReasonDefinition: ReturnReasonDefinition fulfillmentLineItem: FulfillmentLineItem!
}
type ReturnReasonDefinition implements Node { id: ID! name: String! }
type FulfillmentOrder implements Node {
  id: ID! order: Order! status: FulfillmentOrderStatus! fulfillBy: DateTime deliveryMethod: DeliveryMethod
  assignedLocation: FulfillmentOrderAssignedLocation!
  lineItems(first: Int, after: String): FulfillmentOrderLineItemConnection!
}
enum FulfillmentOrderStatus { CANCELLED CLOSED INCOMPLETE IN_PROGRESS ON_HOLD OPEN SCHEDULED }
type DeliveryMethod implements Node { id: ID! methodType: DeliveryMethodType! }
enum DeliveryMethodType { LOCAL NONE PICKUP_POINT PICK_UP RETAIL SHIPPING }
type FulfillmentOrderAssignedLocation { location: Location }
type FulfillmentOrderLineItem implements Node {
  id: ID! remainingQuantity: Int! totalQuantity: Int! lineItem: LineItem!
}

type Product implements Node { id: ID! status: ProductStatus! }
enum ProductStatus { ACTIVE ARCHIVED DRAFT UNLISTED }
type ProductVariant implements Node {
  id: ID! sku: String barcode: String displayName: String! requiresComponents: Boolean! product: Product!
  inventoryItem: InventoryItem!
}
type InventoryItem implements Node {
  id: ID! sku: String tracked: Boolean! duplicateSkuCount: Int!
  inventoryLevel(locationId: ID!, includeInactive: Boolean = false): InventoryLevel
}
type InventoryLevel implements Node { id: ID! isActive: Boolean! quantities(names: [String!]!): [InventoryQuantity!]! }
type InventoryQuantity implements Node { id: ID! name: String! quantity: Int! }
type Location implements Node {
  id: ID! name: String! isActive: Boolean! isFulfillmentService: Boolean! fulfillsOnlineOrders: Boolean!
}

input InventorySetQuantitiesInput {
  name: String! reason: String! referenceDocumentUri: String quantities: [InventoryQuantityInput!]!
}
input InventoryQuantityInput { inventoryItemId: ID! locationId: ID! quantity: Int! changeFromQuantity: Int }
type InventorySetQuantitiesPayload {
  inventoryAdjustmentGroup: InventoryAdjustmentGroup userErrors: [InventorySetQuantitiesUserError!]!
}
type InventoryAdjustmentGroup implements Node { id: ID! changes: [InventoryChange!]! }
type InventoryChange { name: String! quantityAfterChange: Int item: InventoryItem location: Location }
type InventorySetQuantitiesUserError {
  code: InventorySetQuantitiesUserErrorCode field: [String!] message: String!
}
enum InventorySetQuantitiesUserErrorCode {
  CHANGE_FROM_QUANTITY_STALE COMPARE_QUANTITY_REQUIRED COMPARE_QUANTITY_STALE IDEMPOTENCY_CONCURRENT_REQUEST
  IDEMPOTENCY_KEY_PARAMETER_MISMATCH IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED INVALID_INVENTORY_ITEM INVALID_LOCATION
  INVALID_NAME INVALID_QUANTITY_NEGATIVE INVALID_QUANTITY_TOO_HIGH INVALID_QUANTITY_TOO_LOW INVALID_REASON
  INVALID_REFERENCE_DOCUMENT NON_MUTABLE_INVENTORY_ITEM NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR
}
type InventoryActivatePayload { inventoryLevel: InventoryLevel userErrors: [UserError!]! }
type UserError { field: [String!] message: String! }

type BulkOperation implements Node {
  id: ID! status: BulkOperationStatus! errorCode: BulkOperationErrorCode createdAt: DateTime! completedAt: DateTime
  objectCount: UnsignedInt64! url: URL partialDataUrl: URL
}
enum BulkOperationStatus { CANCELED CANCELING COMPLETED CREATED EXPIRED FAILED RUNNING }
enum BulkOperationErrorCode { ACCESS_DENIED INTERNAL_SERVER_ERROR TIMEOUT }
type BulkOperationRunQueryPayload { bulkOperation: BulkOperation userErrors: [BulkOperationUserError!]! }
type BulkOperationUserError { code: BulkOperationUserErrorCode field: [String!] message: String! }
enum BulkOperationUserErrorCode { INVALID LIMIT_REACHED OPERATION_IN_PROGRESS }
"""
)
