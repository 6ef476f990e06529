"""For whom is planned, and the session that plans: its temporary tables and how the database joins them.

What belongs here: what every part of a plan in the store shares. Not here: the parts (`plan_inputs`, `plan_offers`,
`plan_outcome`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from oms_hub.store.engine import Transaction


@dataclass(frozen=True, slots=True)
class PlanFrame:
    """For whom is planned, in the store's terms.

    Attributes:
        planned_at: what is planned is due from then on.
        takers: ids of connections whose channel takes levels.
        deltas: those of them that take changes instead of levels.
        unsure: connections whose last pull failed: their SKUs may only go down.
        is_all_unsure: no SKU at all may go up.
        is_small: few SKUs of large tables: reach rows by their keys.
    """

    merchant_id: int
    planned_at: datetime
    takers: tuple[int, ...]
    deltas: tuple[int, ...] = ()
    unsure: tuple[int, ...] = ()
    is_all_unsure: bool = False
    is_small: bool = True


def tune(tx: Transaction, *, is_small: bool) -> None:
    """Have this transaction choose joins that hold whatever the database believes the sizes of tables are.

    A plan of a few SKUs must reach rows by their keys, one of many must not loop over them: after a bulk load, or while
    another plan fills a table that was empty, statistics say the opposite.
    """
    settings = {"jit": "off", "work_mem": "64MB", "max_parallel_workers_per_gather": "0", "random_page_cost": "1.1"}
    settings |= {"enable_seqscan": "off"} if is_small else {"enable_nestloop": "off", "enable_mergejoin": "off"}
    for name, value in settings.items():
        tx.execute(text(f"SET LOCAL {name} = '{value}'"))


def empty_tables(tx: Transaction, tables: Sequence[str]) -> None:
    """Make sure that a session has these temporary tables, empty; each is declared as `name (columns)`."""
    for declared in tables:
        tx.execute(text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {declared} ON COMMIT DELETE ROWS"))
        tx.execute(text(f"DELETE FROM pg_temp.{declared.split(' ', 1)[0]}"))
