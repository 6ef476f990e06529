"""Files of a till that are not what they should be: said in one line, the rest is taken, and mended files go on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEADER = "order_id,sold_at,sku,quantity,unit_price\n"
TWO = "1,2026-11-20 10:00:00,MUG-1,2,50.00\n2,2026-11-20 11:00:00,MUG-2,1,70.00\n"
MENDED = f"{HEADER}{TWO}3,2026-11-20 12:00:00,MUG-1,1,5.00\n"
TAKEN = [("1", Decimal("100.00")), ("2", Decimal("70.00"))]
ALL = [*TAKEN, ("3", Decimal("5.00"))]


def _till(program: Any, folder: Path, content: bytes) -> Path:
    """Connect a till whose file holds this, without the test that would refuse it."""
    file = folder / "till.csv"
    file.write_bytes(content)
    words = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={file}", "--no-test")
    added = program(*words)
    assert (added.exit_code, added.stderr) == (0, ""), added.output
    return file


def _orders(program: Any) -> list[tuple[str, Decimal]]:
    found: list[tuple[str, Decimal]] = program.rows("SELECT channel_order_id, total FROM hub.orders ORDER BY 1")
    return found


def _mend(program: Any, file: Path) -> None:
    file.write_text(MENDED, encoding="utf-8")
    mended = program("sync", "till")
    assert (mended.exit_code, mended.stderr) == (0, ""), mended.output
    assert _orders(program) == ALL
    assert program("status").exit_code == 0
    report = program("report", "sales_daily", "--format", "json").json
    assert [(row["business_date"], row["orders"], row["total_sales"]) for row in report] == [
        ("2026-11-20", 3, "175.00")
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            b"order_id,sold_at,quantity,unit_price\n1,2026-11-20 10:00:00,2,50.00\n",
            "till.csv lacks the column sku (sku); it has: order_id, sold_at, quantity, unit_price. "
            "Set columns (and delimiter, encoding) to what the file has",
        ),
        (
            b"order_id,sold_at,sku,sku,quantity,unit_price\n1,2026-11-20 10:00:00,A,B,2,50.00\n",
            "till.csv has more than one column named sku. Give every column a name of its own in the export",
        ),
        (
            b"PK\x03\x04" + bytes(range(256)) * 4,
            "till.csv is no text in utf-8 at byte 0, line 1: it holds zero bytes. "
            "Remove it from the feed's path, or set encoding to what it is written in",
        ),
        (
            b"\x1f\x8b" + bytes(range(200)),
            "till.csv is a damaged or unfinished gzip file (BadGzipFile). Deliver it again, whole",
        ),
        (
            b"",
            "till.csv is empty (0 bytes). Deliver it again with at least its header, or remove it; "
            "what was taken of it before stands",
        ),
    ],
    ids=["missing column", "column named twice", "binary", "damaged gzip", "no bytes"],
)
def test_a_file_that_cannot_be_taken_is_named_and_taken_once_mended(
    content: bytes, complaint: str, acme: Any, tmp_path: Path
) -> None:
    file = _till(acme, tmp_path, content)
    before = acme.row_counts("exceptions", "leases", "sync_runs")
    result = acme("sync", "till")
    assert result.exit_code == 1
    assert result.complaint == f"till: {complaint}"
    assert acme.row_counts("exceptions", "leases", "sync_runs") == before
    (waiting,) = acme("exceptions", "list", "--json").json
    assert (waiting["kind"], waiting["connection"]) == ("sync_failed", "till")
    assert acme("status").exit_code == 1
    _mend(acme, file)
    assert acme("exceptions", "list", "--kind", "sync_failed", "--json").json == []


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("3,2026-02-30 10:00:00,MUG-1,1,5.00\n", "column sold_at is no date like %Y-%m-%d %H:%M:%S"),
        ('3,2026-11-20 12:00:00,MUG-1,1,"5,00"\n', "column unit_price is no number with the decimal mark ."),
        ("3,2026-11-20 12:00:00,MUG-1,half,5.00\n", "column quantity is no number with the decimal mark ."),
        ("3,2026-11-20 12:00:00,MUG-1,1\n", "till.csv:4 has 4 cells, the header has 5"),
    ],
    ids=["impossible date", "other decimal mark", "text for a number", "short row"],
)
def test_a_row_that_cannot_be_read_waits_alone_and_is_taken_once_mended(
    row: str, complaint: str, acme: Any, tmp_path: Path
) -> None:
    file = _till(acme, tmp_path, f"{HEADER}{row}{TWO}".encode())
    (tmp_path / "till.csv").write_text(f"{HEADER}{TWO}{row}", encoding="utf-8")
    result = acme("sync", "till")
    assert result.exit_code == 1
    assert result.complaint.startswith("till: no_unreadable_payload: 1 found, such as 3")
    assert complaint in result.complaint
    assert result.complaint.endswith("See: oms-hub exceptions list")
    assert _orders(acme) == TAKEN
    status = acme("status")
    assert status.exit_code == 1
    assert status.complaint.startswith("till: bad_payload: till.csv")
    (waiting,) = acme("exceptions", "list", "--kind", "bad_payload", "--json").json
    assert (waiting["reference"], waiting["occurrences"]) == ("3", 1)
    assert complaint in waiting["message"]
    _mend(acme, file)
    assert acme("exceptions", "list", "--kind", "bad_payload", "--json").json == []


def test_a_last_line_that_is_cut_off_waits_for_its_end(acme: Any, tmp_path: Path) -> None:
    file = _till(acme, tmp_path, f"{HEADER}{TWO}3,2026-11-20 12:0".encode())
    first = acme("sync", "till")
    assert (first.exit_code, first.stderr) == (0, ""), first.output
    assert _orders(acme) == TAKEN
    still = acme("sync", "till")
    assert still.exit_code == 1
    assert "till.csv:4 has 2 cells, the header has 5" in still.complaint
    assert _orders(acme) == TAKEN
    _mend(acme, file)


def test_a_last_line_that_is_finished_in_time_is_no_trouble(acme: Any, tmp_path: Path) -> None:
    file = _till(acme, tmp_path, f"{HEADER}{TWO}3,2026-11-20 12:0".encode())
    assert acme("sync", "till").exit_code == 0
    _mend(acme, file)
    assert acme("exceptions", "list", "--kind", "source_changed", "--json").json == []


def test_a_header_alone_is_no_sales_yet(acme: Any, tmp_path: Path) -> None:
    file = _till(acme, tmp_path, HEADER.encode())
    result = acme("sync", "till")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert _orders(acme) == []
    tested = acme("connections", "test", "till", "--json").json
    assert tested[-1] == {"step": "rows", "ok": True, "detail": "till.csv has no rows yet", "remedy": ""}
    _mend(acme, file)


def test_the_connection_test_names_an_empty_file(acme: Any, tmp_path: Path) -> None:
    _till(acme, tmp_path, b"")
    tested = acme("connections", "test", "till", "--json").json
    assert (tested[-1]["step"], tested[-1]["ok"], tested[-1]["detail"]) == (
        "rows", False, "till.csv is empty (0 bytes)",
    )  # fmt: skip


def test_a_file_in_another_encoding_is_taken_up_to_there(acme: Any, tmp_path: Path) -> None:
    row = "3,2026-11-20 12:00:00,MUG-\u00d1,1,5.00\n"
    file = _till(acme, tmp_path, f"{HEADER}{TWO}{row}".encode("cp1252"))
    result = acme("sync", "till")
    assert result.exit_code == 1
    assert result.complaint == (
        "till: till.csv is not utf-8 at byte 139, line 4. "
        "Set encoding to what the file is written in; rows before this place were taken"
    )
    assert _orders(acme) == TAKEN
    _mend(acme, file)


def test_a_file_that_is_away_is_named_and_taken_once_it_is_there(acme: Any, tmp_path: Path) -> None:
    file = _till(acme, tmp_path, b"")
    file.unlink()
    result = acme("sync", "till")
    assert result.exit_code == 1
    assert result.complaint.startswith(f"till: there is no file at {file}. Set path to a file")
    _mend(acme, file)


def test_one_bad_file_in_a_folder_does_not_keep_the_others_back(acme: Any, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "1.csv").write_bytes(b"PK\x03\x04" + bytes(range(256)))
    (folder / "2.csv").write_text(HEADER + TWO, encoding="utf-8")
    added = acme("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={folder}", "--no-test")
    assert added.exit_code == 0, added.output
    result = acme("sync", "till")
    assert result.exit_code == 1
    assert result.complaint.startswith("till: 1.csv is no text in utf-8")
    assert _orders(acme) == TAKEN


def test_a_bad_receipt_can_be_retried_and_dismissed(acme: Any, tmp_path: Path) -> None:
    _till(acme, tmp_path, f"{HEADER}{TWO}3,2026-02-30 10:00:00,MUG-1,1,5.00\n".encode())
    assert acme("sync", "till").exit_code == 1
    (waiting,) = acme("exceptions", "list", "--kind", "bad_payload", "--json").json
    number = waiting["exception_id"]
    before = acme.row_counts("sync_runs")
    retried = acme("exceptions", "retry", number)
    assert retried.exit_code == 1
    assert retried.complaint == "still failing: till.csv:4: column sold_at is no date like %Y-%m-%d %H:%M:%S"
    assert acme.row_counts("sync_runs") == before
    assert acme.rows("SELECT counts ->> 'records' FROM hub.sync_runs ORDER BY sync_run_id DESC LIMIT 1") == [("1",)]
    dismissed = acme("exceptions", "dismiss", number, "--reason", "typed by hand")
    assert (dismissed.exit_code, dismissed.stdout) == (0, f"Exception {number} dismissed.\n")
    twice = acme("exceptions", "dismiss", number, "--reason", "typed by hand")
    assert twice.exit_code == 1
    assert twice.complaint == f"There is no open exception {number}. See: oms-hub exceptions list"
    again = acme("sync", "till")
    assert (again.exit_code, again.stderr) == (0, ""), again.output
    (kept,) = acme("exceptions", "list", "--state", "dismissed", "--json").json
    assert kept["exception_id"] == number


def test_an_exception_that_has_nothing_to_try_again_says_so(acme: Any, tmp_path: Path) -> None:
    _till(acme, tmp_path, MENDED.encode())
    assert acme("sync", "till").exit_code == 0
    waiting = acme("exceptions", "list", "--kind", "unmapped_sku", "--json").json
    assert [row["reference"] for row in waiting] == ["MUG-2", "MUG-1"]
    before = acme.row_counts()
    result = acme("exceptions", "retry", waiting[0]["exception_id"])
    assert result.exit_code == 1
    assert "(unmapped_sku) has nothing to try again. " in result.complaint
    assert acme.row_counts() == before
