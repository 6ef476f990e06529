"""The practice shop: what buyers and the shop's people do, and what follows from it.

What belongs here: rules of stock, status, refunds and deletion, thread-safe, on a clock of its own. Not here: how the
first goods and orders are made up (`sandbox_seed`), HTTP (`sandbox_server`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from connectors.woocommerce.sandbox_records import CENT, Line, OrderRecord, Product, RefundRecord
from connectors.woocommerce.sandbox_shown import Shown
from oms_hub.clock import Clock

HIDDEN_STATUSES = frozenset({"trash", "checkout-draft", "auto-draft"})
"""Not part of `status=any`."""
_HOLDING = frozenset({"on-hold", "processing", "completed"})
"""Statuses at which the shop takes the units off its stock. Source: a real shop, 2026-11."""
TAX_RATE = Decimal("0.16")


class Shop:
    """State of one shop. Every public method is safe to call from any thread."""

    def __init__(self, *, clock: Clock, zone: ZoneInfo) -> None:
        self.lock = threading.RLock()
        self.zone = zone
        self.shown = Shown(zone)
        self.products: dict[int, Product] = {}
        self.orders: dict[int, OrderRecord] = {}
        self.revision = 0
        self._clock = clock
        self._ahead = timedelta(0)
        self._next_id = 1000

    def now(self) -> datetime:
        """Return the shop's present, whole seconds."""
        return (self._clock() + self._ahead).replace(microsecond=0)

    def advance_clock(self, seconds: float) -> None:
        """Move the shop's clock forward."""
        with self.lock:
            self._ahead += timedelta(seconds=seconds)

    def take_id(self) -> int:
        """Return the next id: orders, refunds, products and lines share one sequence, as posts do."""
        with self.lock:
            self._next_id += 1
            return self._next_id

    def touch(self, order: OrderRecord) -> None:
        """Stamp an order as changed now."""
        order.modified_at = self.now()
        self.revise(order)

    def revise(self, order: OrderRecord) -> None:
        """Let the order be shown anew."""
        self.revision += 1
        order.revision = self.revision

    # ------------------------------------------------------------------------------------------------- goods

    def sellable(self, sku: str) -> Product:
        """Return the product or variation that a SKU names, the first of duplicates."""
        for product in self.products.values():
            if product.sku == sku and (product.kind != "variable" or product.manage_stock is True):
                return product
        raise KeyError(sku)

    def stock_holder(self, product: Product) -> Product:
        """Return the product whose level counts: the parent for variations that it manages."""
        return self.products[product.parent_id] if product.manage_stock == "parent" else product

    def level(self, sku: str) -> int | None:
        """Return what buyers see, None where nothing is tracked."""
        with self.lock:
            holder = self.stock_holder(self.sellable(sku))
            return int(holder.stock or 0) if holder.manage_stock is True else None

    def set_level(self, sku: str, quantity: int) -> None:
        """Set a level as a person in the shop's own screens does."""
        with self.lock:
            self.write_stock(self.stock_holder(self.sellable(sku)), quantity)

    def write_stock(self, product: Product, quantity: float) -> None:
        """Set a product's quantity, and that of the variations it manages; ignored where nothing is tracked."""
        if product.manage_stock is not True:
            return
        product.stock = quantity
        product.modified_at = self.now()
        for variation_id in product.variation_ids:
            variation = self.products[variation_id]
            if variation.manage_stock == "parent":
                variation.stock = quantity

    # ------------------------------------------------------------------------------------------------ orders

    def new_line(self, product: Product, quantity: int) -> Line:
        """Return a line at the product's price."""
        subtotal = product.price * quantity
        is_variation = bool(product.parent_id)
        return Line(
            line_id=self.take_id(),
            product_id=product.parent_id if is_variation else product.product_id,
            variation_id=product.product_id if is_variation else 0,
            name=product.name,
            sku=product.sku,
            quantity=quantity,
            subtotal=subtotal,
            total=subtotal,
            tax=(subtotal * TAX_RATE).quantize(CENT),
        )

    def place_order(self, lines: Mapping[str, int], *, status: str = "processing", customer_id: int = 7) -> OrderRecord:
        """Sell as a buyer does: the order is paid and the shop's own stock falls."""
        with self.lock:
            now = self.now()
            items = [self.new_line(self.sellable(sku), quantity) for sku, quantity in lines.items()]
            order = OrderRecord(self.take_id(), status, now, now, customer_id, items)
            order.paid_at = now if status in {"processing", "completed"} else None
            order.completed_at = now if status == "completed" else None
            self.add(order)
            return order

    def add(self, order: OrderRecord) -> None:
        """Keep an order and take its units off the stock where its status says so."""
        with self.lock:
            self.orders[order.order_id] = order
            self._follow_status(order)
            self.revise(order)

    def set_status(self, order_id: int, status: str) -> OrderRecord:
        """Change an order's status with all that follows; trashing does not stamp it as changed."""
        with self.lock:
            order = self.orders[order_id]
            order.status = status
            now = self.now()
            if status in {"processing", "completed"} and order.paid_at is None:
                order.paid_at = now
            if status == "completed":
                order.completed_at = now
            self._follow_status(order)
            if status == "refunded":
                self._refund_the_rest(order)
            if status == "trash":
                self.revise(order)
            else:
                self.touch(order)
            return order

    def _follow_status(self, order: OrderRecord) -> None:
        if order.status in _HOLDING and not order.is_reduced:
            self._move_stock(order, -1)
        elif order.status in {"cancelled", "pending"} and order.is_reduced:
            self._move_stock(order, 1)

    def _move_stock(self, order: OrderRecord, sign: int) -> None:
        order.is_reduced = sign < 0
        for line in order.lines:
            product = self.products.get(line.variation_id or line.product_id)
            if product is None:
                continue
            holder = self.stock_holder(product)
            if holder.manage_stock is True:
                units = line.quantity if sign < 0 else line.reduced
                self.write_stock(holder, (holder.stock or 0) + sign * units)
                line.reduced = units if sign < 0 else 0

    def edit(self, order_id: int) -> Decimal:
        """Add a fee of 1.00, as a person does, and return the new total."""
        with self.lock:
            order = self.orders[order_id]
            order.is_broken = False
            order.fees.append((self.take_id(), "Gift wrap", Decimal("1.00")))
            self.touch(order)
            return order.total

    def delete(self, order_id: int) -> None:
        """Remove an order for good: no trace in the list of changes."""
        with self.lock:
            self.orders.pop(order_id)

    def refund(
        self, order_id: int, units: Mapping[int, int], *, amount: Decimal | None = None, is_restocked: bool = False
    ) -> RefundRecord:
        """Refund units of lines (line id -> units), or an amount without lines; stamps the order as changed."""
        with self.lock:
            order = self.orders[order_id]
            parts = [self._refund_part(order, line_id, quantity) for line_id, quantity in units.items()]
            value = sum((net + tax for _, _, net, tax in parts), Decimal(0)) if amount is None else amount
            now = self.now()
            refund = RefundRecord(self.take_id(), now, now, value.quantize(CENT), "", parts)
            order.refunds.append(refund)
            if is_restocked:
                self._restock(parts)
            self.touch(order)
            return refund

    def _refund_part(self, order: OrderRecord, line_id: int, units: int) -> tuple[Line, int, Decimal, Decimal]:
        line = next(line for line in order.lines if line.line_id == line_id)
        share = Decimal(units) / line.quantity
        return line, units, (line.total * share).quantize(CENT), (line.tax * share).quantize(CENT)

    def _restock(self, parts: Sequence[tuple[Line, int, Decimal, Decimal]]) -> None:
        for line, units, _, _ in parts:
            product = self.products.get(line.variation_id or line.product_id)
            if product is None or not line.reduced:
                continue
            holder = self.stock_holder(product)
            self.write_stock(holder, (holder.stock or 0) + units)
            line.reduced -= units
            line.restocked += units

    def _refund_the_rest(self, order: OrderRecord) -> None:
        rest = order.total - sum((refund.amount for refund in order.refunds), Decimal(0))
        if rest > 0:
            now = self.now()
            order.refunds.append(RefundRecord(self.take_id(), now, now, rest, "Order fully refunded."))

    def delete_refund(self, order_id: int, refund_id: int) -> None:
        """Remove a refund; the order is not stamped as changed. Source: a real shop, 2026-11."""
        with self.lock:
            order = self.orders[order_id]
            order.refunds = [refund for refund in order.refunds if refund.refund_id != refund_id]
            self.revise(order)

    def delete_product(self, product_id: int) -> None:
        """Remove a product: old lines then show product 0 and no SKU."""
        with self.lock:
            self.products.pop(product_id)
            for order in self.orders.values():
                for line in order.lines:
                    if product_id in (line.variation_id, line.product_id):
                        line.product_id, line.variation_id, line.sku = 0, 0, None
                        self.revise(order)
