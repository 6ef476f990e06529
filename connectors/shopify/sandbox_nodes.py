"""The practice shop's orders as GraphQL sees them: plain dicts, with functions where a field takes arguments.

What belongs here: the shapes of answers. Not here: what the shop remembers (`sandbox_state`), goods (`sandbox_goods`).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from connectors.shopify.sandbox_goods import GoodsNodes, NodeDict, listed, paged, stamp
from connectors.shopify.sandbox_state import CURRENCY
from connectors.shopify.sandbox_things import (
    TAX_RATE,
    Line,
    Refund,
    RefundRow,
    ReturnCase,
    Shipment,
    ShopOrder,
    gid,
)


class Nodes(GoodsNodes):
    """Makes the dicts of one shop."""

    # --------------------------------------------------------------------------------------------------- money

    def _bag(self, order: ShopOrder, amount: Decimal) -> NodeDict:
        rate = order.presentment_rate
        other = amount if rate is None else (amount * rate).quantize(Decimal("0.01"))
        return {
            "shopMoney": {"amount": _amount(amount), "currencyCode": CURRENCY},
            "presentmentMoney": {"amount": _amount(other), "currencyCode": self._presentment(order)},
        }

    @staticmethod
    def _presentment(order: ShopOrder) -> str:
        return CURRENCY if order.presentment_rate is None else "USD"

    def _taxes(self, order: ShopOrder, tax: Decimal) -> list[NodeDict]:
        if not tax:
            return []
        row = {"title": "IVA", "rate": float(TAX_RATE), "channelLiable": False, "priceSet": self._bag(order, tax)}
        return [row]

    # -------------------------------------------------------------------------------------------------- orders

    def order(self, order: ShopOrder) -> NodeDict:
        """Return an order."""
        identifier = gid("Order", order.number)
        refunded = sum((order.refund_paid(refund) for refund in order.refunds), Decimal(0))
        shipping = [order] if order.shipping else []
        return {
            "__typename": "Order",
            "id": identifier,
            "name": f"#{order.number - 99_000}",
            "createdAt": stamp(order.created_at),
            "updatedAt": stamp(order.updated_at),
            "processedAt": stamp(order.created_at),
            "cancelledAt": stamp(order.cancelled_at),
            "closedAt": stamp(order.closed_at),
            "cancelReason": "CUSTOMER" if order.cancelled_at else None,
            "test": order.is_test,
            "edited": order.is_edited,
            "sourceName": order.source,
            "currencyCode": CURRENCY,
            "presentmentCurrencyCode": self._presentment(order),
            "taxesIncluded": order.taxes_included,
            "displayFinancialStatus": _financial_status(order, refunded),
            "displayFulfillmentStatus": _fulfilment_status(order),
            "returnStatus": "IN_PROGRESS" if order.returns else "NO_RETURN",
            "totalPriceSet": self._bag(order, order.total()),
            "currentTotalPriceSet": self._bag(order, order.total() - refunded),
            "totalTipReceivedSet": self._bag(order, order.tip),
            "originalTotalDutiesSet": None,
            "totalCashRoundingAdjustment": {"paymentSet": self._bag(order, Decimal(0))},
            "additionalFees": [],
            "customer": None if order.customer is None else {"id": gid("Customer", order.customer)},
            "transactions": listed(self._transactions(order)),
            "refunds": listed([self.refund(order, refund) for refund in order.refunds]),
            "fulfillments": listed([self.shipment(order, shipment) for shipment in order.shipments]),
            "lineItems": paged(order.lines, lambda line: self.line(order, line)),
            "shippingLines": paged(shipping, self._shipping),
            "returns": paged(order.returns, lambda case: self.return_case(order, case)),
            "fulfillmentOrders": paged([order], self.task),
        }

    def line(self, order: ShopOrder, line: Line) -> NodeDict:
        """Return a line of an order."""
        return {
            "__typename": "LineItem",
            "id": gid("LineItem", line.number),
            "sku": line.sku,
            "name": line.title,
            "quantity": line.quantity,
            "currentQuantity": line.quantity - line.removed - order.refunded(line),
            "requiresShipping": line.requires_shipping,
            "isGiftCard": line.variant is not None and line.variant.is_gift_card,
            "originalUnitPriceSet": self._bag(order, line.price),
            "discountAllocations": self._allocations(order, line),
            "taxLines": listed(self._taxes(order, order.line_tax(line))),
            "variant": None if line.variant is None else self.variant(line.variant),
        }

    def _allocations(self, order: ShopOrder, line: Line) -> list[NodeDict]:
        found = []
        if line.own_discount:
            application = {"__typename": "ManualDiscountApplication", "title": order.discount_title or "", "index": 0}
            application |= {"allocationMethod": "EACH", "targetSelection": "EXPLICIT", "targetType": "LINE_ITEM"}
            found.append((line.own_discount, application))
        if line.shared_discount:
            application = {"__typename": "DiscountCodeApplication", "code": order.discount_code or "", "index": 1}
            application |= {"allocationMethod": "ACROSS", "targetSelection": "ALL", "targetType": "LINE_ITEM"}
            found.append((line.shared_discount, application))
        return [
            {"allocatedAmountSet": self._bag(order, amount), "discountApplication": application}
            for amount, application in found
        ]

    def _shipping(self, order: ShopOrder) -> NodeDict:
        return {
            "__typename": "ShippingLine",
            "id": gid("ShippingLine", order.number),
            "title": "Envío estándar",
            "code": "standard",
            "discountedPriceSet": self._bag(order, order.shipping),
            "discountAllocations": [],
            "taxLines": self._taxes(order, order.tax_of(order.shipping)),
        }

    def _transactions(self, order: ShopOrder) -> list[NodeDict]:
        if not order.is_paid and not order.is_authorised:
            return []
        kind = "SALE" if order.is_paid else "AUTHORIZATION"
        rows = [self._transaction(order, order.number, kind, order.total(), order.created_at)]
        for refund in order.refunds:
            paid = order.refund_paid(refund)
            rows.append(self._transaction(order, refund.number, "REFUND", paid, refund.created_at))
        return rows

    def _transaction(self, order: ShopOrder, number: int, kind: str, amount: Decimal, at: datetime) -> NodeDict:
        return {
            "__typename": "OrderTransaction",
            "id": gid("OrderTransaction", number),
            "kind": kind,
            "status": "SUCCESS",
            "gateway": "cash" if order.source == "pos" else "bogus",
            "test": order.is_test,
            "createdAt": stamp(at),
            "processedAt": stamp(at),
            "amountSet": self._bag(order, amount),
        }

    def refund(self, order: ShopOrder, refund: Refund) -> NodeDict:
        """Return a refund."""
        paid = order.refund_paid(refund)
        return {
            "__typename": "Refund",
            "id": gid("Refund", refund.number),
            "order": lambda _info: self.order(order),
            "createdAt": stamp(refund.created_at),
            "processedAt": stamp(refund.created_at),
            "duties": [],
            "refundLineItems": paged(refund.rows, lambda row: self._refund_row(order, row)),
            "refundShippingLines": paged([refund] if refund.shipping else [], lambda _: self._sent_back(order, refund)),
            "orderAdjustments": paged([refund] if refund.extra else [], lambda _: self._adjustment(order, refund)),
            "transactions": paged(
                [refund], lambda _: self._transaction(order, refund.number, "REFUND", paid, refund.created_at)
            ),
        }

    def _refund_row(self, order: ShopOrder, row: RefundRow) -> NodeDict:
        subtotal, tax = order.refund_row_money(row)
        is_back = row.restock != "NO_RESTOCK"
        return {
            "id": gid("RefundLineItem", row.number),
            "quantity": row.quantity,
            "restockType": row.restock,
            "restocked": is_back,
            "location": self.location(order.location) if is_back else None,
            "lineItem": self.line(order, row.line),
            "subtotalSet": self._bag(order, subtotal),
            "totalTaxSet": self._bag(order, tax),
        }

    def _sent_back(self, order: ShopOrder, refund: Refund) -> NodeDict:
        return {
            "id": gid("RefundShippingLine", refund.number),
            "subtotalAmountSet": self._bag(order, refund.shipping),
            "taxAmountSet": self._bag(order, order.tax_of(refund.shipping)),
        }

    def _adjustment(self, order: ShopOrder, refund: Refund) -> NodeDict:
        return {
            "id": gid("OrderAdjustment", refund.number),
            "reason": "CUSTOMER",
            "amountSet": self._bag(order, -refund.extra),
            "taxAmountSet": self._bag(order, Decimal(0)),
        }

    def shipment(self, order: ShopOrder, shipment: Shipment) -> NodeDict:
        """Return a fulfilment."""
        return {
            "__typename": "Fulfillment",
            "id": gid("Fulfillment", shipment.number),
            "order": lambda _info: self.order(order),
            "status": shipment.status,
            "displayStatus": "DELIVERED" if shipment.delivered_at else "FULFILLED",
            "createdAt": stamp(shipment.created_at),
            "updatedAt": stamp(shipment.created_at),
            "deliveredAt": stamp(shipment.delivered_at),
            "location": self.location(order.location),
            "trackingInfo": listed([{"company": "Paquetería", "number": f"PX{shipment.number}", "url": None}]),
            "fulfillmentLineItems": paged(shipment.rows, lambda row: self._sent_row(order, row)),
        }

    def _sent_row(self, order: ShopOrder, row: tuple[int, Line, int]) -> NodeDict:
        number, line, quantity = row
        return {"id": gid("FulfillmentLineItem", number), "quantity": quantity, "lineItem": self.line(order, line)}

    def return_case(self, order: ShopOrder, case: ReturnCase) -> NodeDict:
        """Return a return."""

        def row_of(row: tuple[int, int, int]) -> NodeDict:
            return {
                "__typename": "ReturnLineItem",
                "id": gid("ReturnLineItem", row[0]),
                "quantity": row[2],
                "returnReasonDefinition": {"id": gid("ReturnReasonDefinition", 1), "name": "Talla equivocada"},
                "fulfillmentLineItem": self._sent_row(order, case.shipment.rows[row[1]]),
            }

        return {
            "__typename": "Return",
            "id": gid("Return", case.number),
            "order": lambda _info: self.order(order),
            "name": f"R-{case.number}",
            "status": case.status,
            "createdAt": stamp(case.created_at),
            "closedAt": None,
            "returnLineItems": paged(case.rows, row_of),
        }

    def task(self, order: ShopOrder) -> NodeDict:
        """Return an order's one fulfilment order."""
        is_done = all(order.open_units(line) == 0 for line in order.lines)

        def row_of(line: Line) -> NodeDict:
            return {
                "id": gid("FulfillmentOrderLineItem", line.number),
                "remainingQuantity": order.open_units(line),
                "totalQuantity": line.quantity,
                "lineItem": self.line(order, line),
            }

        return {
            "__typename": "FulfillmentOrder",
            "id": gid("FulfillmentOrder", order.number),
            "order": lambda _info: self.order(order),
            "status": "CLOSED" if is_done else "OPEN",
            "fulfillBy": None,
            "deliveryMethod": {
                "id": gid("DeliveryMethod", order.number),
                "methodType": "PICK_UP" if order.is_pickup else ("RETAIL" if order.source == "pos" else "SHIPPING"),
            },
            "assignedLocation": {"location": self.location(order.location)},
            "lineItems": paged(order.lines, row_of),
        }


def _amount(amount: Decimal) -> str:
    """Return an amount as Shopify writes it: without needless zeros, but with one decimal at least."""
    text = format(amount.normalize(), "f")
    return text if "." in text else f"{text}.0"


def _financial_status(order: ShopOrder, refunded: Decimal) -> str:
    if order.is_authorised:
        return "AUTHORIZED"
    if not order.is_paid:
        return "PENDING"
    if refunded >= order.total():
        return "REFUNDED"
    return "PARTIALLY_REFUNDED" if refunded else "PAID"


def _fulfilment_status(order: ShopOrder) -> str:
    if order.cancelled_at is not None:
        return "RESTOCKED"
    if not order.shipments:
        return "UNFULFILLED"
    return "FULFILLED" if all(order.open_units(line) == 0 for line in order.lines) else "PARTIALLY_FULFILLED"
