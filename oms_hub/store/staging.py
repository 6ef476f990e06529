"""Rows from Python into a temporary table, through COPY: the first half of every set-based stock write.

What belongs here: making and filling the temporary table. Not here: what happens with its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql
from sqlalchemy import text

from oms_hub.store.engine import Transaction


def stage(tx: Transaction, name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> int:
    """Fill a fresh temporary table that ends with the transaction.

    Args:
        tx: the transaction.
        name: the table's name, one of our own constants; an older one of that name in this transaction is replaced.
        columns: column -> PostgreSQL type, in the order of each row's values.
        rows: the rows, streamed.

    Returns:
        How many rows were staged.
    """
    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    tx.execute(text(f"DROP TABLE IF EXISTS pg_temp.{name}"))
    tx.execute(text(f"CREATE TEMPORARY TABLE {name} ({declared}) ON COMMIT DROP"))
    driver: Any = tx.connection.driver_connection
    statement = sql.SQL("COPY pg_temp.{} ({}) FROM STDIN").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    count = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
