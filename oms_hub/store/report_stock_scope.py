"""Which SKUs a refresh makes stock and cost rows of: the temporary table `report_skus`, taken from `touched_stock`.

What belongs here: taking the marks. They are appended by triggers in the transaction of the change and deleted here
within the refresh's one snapshot: a mark that it sees stands for changes that it sees too, and one that it does not
see stays for the next refresh. So nobody waits for anybody.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

_OPEN = """
CREATE TEMP TABLE report_skus (sku_id bigint PRIMARY KEY, merchant_id integer, time_zone text, cost_method text,
    from_date date) ON COMMIT DROP
"""

_TAKE = """
WITH taken AS (
    DELETE FROM hub.touched_stock t WHERE CAST(:merchant_id AS integer) IS NULL OR t.merchant_id = :merchant_id
    RETURNING t.merchant_id, t.sku_id, t.from_at
)
INSERT INTO report_skus
SELECT t.sku_id, m.merchant_id, m.time_zone, m.cost_method, min((t.from_at AT TIME ZONE m.time_zone)::date)
FROM taken t JOIN hub.merchants m USING (merchant_id) GROUP BY 1, 2, 3, 4
"""

_FORGET = """
DELETE FROM hub.touched_stock WHERE CAST(:merchant_id AS integer) IS NULL OR merchant_id = :merchant_id
"""

_FILL = """
INSERT INTO report_skus
SELECT k.sku_id, m.merchant_id, m.time_zone, m.cost_method, '-infinity'
FROM hub.skus k JOIN hub.merchants m USING (merchant_id)
WHERE CAST(:merchant_id AS integer) IS NULL OR m.merchant_id = :merchant_id
"""

_TOUCH_ALL = """
INSERT INTO hub.touched_stock (merchant_id, sku_id, from_at)
SELECT merchant_id, sku_id, '-infinity' FROM hub.skus WHERE merchant_id = :merchant_id ORDER BY sku_id
"""


def take_touched_stock(transaction: Connection, merchant_id: int | None) -> int:
    """Move the marks into the scope, the earliest of each SKU; return how many SKUs are to be made anew."""
    transaction.execute(text(_OPEN))
    taken = transaction.execute(text(_TAKE), {"merchant_id": merchant_id}).rowcount
    transaction.execute(text("ANALYZE report_skus"))
    return taken


def take_all_stock(transaction: Connection, merchant_id: int | None, *, forget_marks: bool) -> None:
    """Put every SKU into the scope, from the beginning; take the marks off the list where this makes them needless."""
    transaction.execute(text(_OPEN))
    if forget_marks:
        transaction.execute(text(_FORGET), {"merchant_id": merchant_id})
    transaction.execute(text(_FILL), {"merchant_id": merchant_id})
    transaction.execute(text("ANALYZE report_skus"))


def touch_all_stock(transaction: Connection, merchant_id: int) -> None:
    """Have the stock and cost rows of all of a merchant's SKUs made again, from the beginning."""
    transaction.execute(text(_TOUCH_ALL), {"merchant_id": merchant_id})
