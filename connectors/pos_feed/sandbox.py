"""A practice till: a folder with a file that grows as receipts are printed.

What belongs here: an invented shop's till, and ways to misbehave as tills do. Not here: reading its file.
"""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from oms_hub.channel.contract import SandboxAccount
from oms_hub.clock import Clock, utc_now

SHARED_SKUS = tuple(f"HUB-{number:03d}" for number in range(1, 21))
"""Codes that all practice channels sell."""
TIME_ZONE = "America/Mexico_City"
FILE_NAME = "till-1.csv"
HEADER = ("ticket", "fecha", "articulo", "descripcion", "piezas", "precio", "sucursal", "cliente", "pago")
COLUMNS = {
    "order_id": "ticket",
    "sold_at": "fecha",
    "sku": "articulo",
    "description": "descripcion",
    "quantity": "piezas",
    "unit_price": "precio",
    "location": "sucursal",
    "customer": "cliente",
    "payment": "pago",
}
NOT_GOODS = {"ENVIO": "shipping", "DESC": "discount", "AJUSTE": "adjustment", "BOLSA": "fee"}
CREDIT_NOTE_PREFIX = "N"
UNREADABLE = "many"
_FORMAT = "%d/%m/%Y %H:%M:%S.%f"
_HISTORY_ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
_HISTORY = timedelta(days=45)


class PracticeTill:
    """A till that writes its receipts into one csv file.

    `;` stands between cells, amounts have a decimal comma, times are local, credit notes begin with `N`.

    Args:
        folder: where the file is; a temporary one, removed on close, where not given.
        orders: receipts it starts with.
        seed: the same seed gives the same receipts.
        clock: now, for receipts that are printed later.
    """

    def __init__(self, *, folder: Path | None = None, orders: int = 60, seed: int = 1, clock: Clock = utc_now) -> None:
        self._is_own = folder is None
        self._folder = Path(tempfile.mkdtemp(prefix="oms-hub-till-")) if folder is None else folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.file = self._folder / FILE_NAME
        self._clock = clock
        self._ahead = timedelta()
        self._number = 1000
        self._receipts: dict[str, list[list[str]]] = {}
        self.file.write_text(_text([list(HEADER)]), encoding="utf-8-sig", newline="")
        self._print_history(orders, random.Random(seed))

    @property
    def account(self) -> SandboxAccount:
        """Return the settings that read its file; it needs no secrets."""
        settings = {
            "path": str(self.file),
            "delimiter": ";",
            "decimal": ",",
            "time_zone": TIME_ZONE,
            "datetime_format": _FORMAT,
            "currency": "MXN",
            "columns": json.dumps(COLUMNS),
            "not_goods": json.dumps(NOT_GOODS),
            "credit_note_prefix": CREDIT_NOTE_PREFIX,
        }
        return SandboxAccount(settings, {})

    def place_order(self, lines: Mapping[str, int]) -> str:
        """Print a receipt now: its rows stand at the end of the file. Return its number."""
        sold = [[sku, f"Artículo {sku}", str(quantity), _price(sku)] for sku, quantity in lines.items()]
        return self._print(sold, self._clock() + self._ahead)

    def level(self, sku: str) -> int | None:
        """Return None: a till keeps no stock."""
        return None

    def close(self) -> None:
        """Remove the folder, if it was made for this till."""
        if self._is_own:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def base_url(self) -> str:
        """Return nothing: a till serves no HTTP."""
        return ""

    def order_ids(self) -> list[str]:
        """Return the numbers of all receipts in the file, oldest first."""
        return list(self._receipts)

    def amounts(self) -> dict[str, Decimal]:
        """Return what the rows of each receipt come to; what went back is negative."""
        return {order_id: sum(map(_amount, rows), Decimal(0)) for order_id, rows in self._receipts.items()}

    def totals(self) -> dict[str, Decimal]:
        """Return what was charged on each receipt, before what went back on it; 0 for credit notes."""
        return {
            order_id: sum((_amount(row) for row in rows if not _is_given_back(order_id, row)), Decimal(0))
            for order_id, rows in self._receipts.items()
        }

    def edit_order(self, order_id: str) -> Decimal:
        """Change a receipt where it stands: one more piece of its first article. Return its new total."""
        row = self._receipts[order_id][0]
        sign = -1 if order_id.startswith(CREDIT_NOTE_PREFIX) else 1
        row[4] = str(int(row[4]) + sign) if row[4] != UNREADABLE else str(sign)
        self._write_all()
        return self.totals()[order_id]

    def delete_order(self, order_id: str) -> None:
        """Take a receipt out of the file."""
        del self._receipts[order_id]
        self._write_all()

    def break_order(self, order_id: str) -> None:
        """Make a receipt unreadable until it is edited: its first row says a quantity that is no number."""
        self._receipts[order_id][0][4] = UNREADABLE
        self._write_all()

    def advance_clock(self, seconds: float) -> None:
        """Let receipts that are printed from now on be later by so much."""
        self._ahead += timedelta(seconds=seconds)

    def set_level(self, sku: str, quantity: int) -> None:
        """Do nothing: a till keeps no stock."""

    def _print(self, sold: list[list[str]], at: datetime, *, prefix: str = "", customer: str = "") -> str:
        self._number += 1
        order_id = f"{prefix}{self._number}"
        written_at = at.astimezone(ZoneInfo(TIME_ZONE)).strftime(_FORMAT)
        rows = [[order_id, written_at, *cells, "centro", customer, "efectivo"] for cells in sold]
        self._receipts[order_id] = rows
        with self.file.open("a", encoding="utf-8", newline="") as file:
            file.write(_text(rows))
        return order_id

    def _write_all(self) -> None:
        rows = [list(HEADER), *(row for receipt in self._receipts.values() for row in receipt)]
        new = self._folder / f".{FILE_NAME}.new"
        new.write_text(_text(rows), encoding="utf-8-sig", newline="")
        new.replace(self.file)

    def _print_history(self, orders: int, chance: random.Random) -> None:
        step = _HISTORY / max(1, orders)
        for index in range(orders):
            at = _HISTORY_ENDS_AT - _HISTORY + step * index
            customer = f"K{chance.randrange(1, 30):03d}" if index % 3 else ""
            skus = chance.sample(SHARED_SKUS, chance.randint(1, 3))
            sold = [[sku, f"Artículo {sku}", str(chance.randint(1, 3)), _price(sku)] for sku in skus]
            prefix = ""
            if index % 11 == 4:
                sold.append(list(sold[0]))
            if index % 13 == 5:
                sold.append(["DESC", "Discount", "-1", "20,00"])
            if index % 7 == 6:
                sold.append(["BOLSA", "Bag, of paper; large", "1", "2,50"])
            if index % 17 == 8:
                sold.append([skus[0], "Exchanged", "-1", _price(skus[0])])
            if index % 12 == 10:
                prefix, sold = CREDIT_NOTE_PREFIX, [[skus[0], "Returned", "-1", _price(skus[0])]]
            self._print(sold, at, prefix=prefix, customer=customer)


def start_sandbox(*, port: int = 0, orders: int = 60, seed: int = 1) -> PracticeTill:
    """Start a practice till in a folder of its own; `port` says nothing to a till."""
    return PracticeTill(orders=orders, seed=seed)


def _amount(row: list[str]) -> Decimal:
    """Return what a row comes to; nothing for one that is unreadable."""
    pieces = int(row[4]) if row[4] != UNREADABLE else 0
    return pieces * Decimal(row[5].replace(",", "."))


def _is_given_back(order_id: str, row: list[str]) -> bool:
    return order_id.startswith(CREDIT_NOTE_PREFIX) or (row[2] not in NOT_GOODS and row[4].startswith("-"))


def _price(sku: str) -> str:
    return f"{99 + 10 * int(sku[-3:]) if sku in SHARED_SKUS else 50},50"


def _text(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=";", lineterminator="\r\n").writerows(rows)
    return file.getvalue()
