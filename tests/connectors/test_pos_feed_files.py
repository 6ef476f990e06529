"""Files are taken once, grow, change, move and go bad: what lands, and what is said about it."""

import gzip
import io
import json
import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import fsspec
import pytest

from connectors.pos_feed import CHANNEL
from connectors.pos_feed.sandbox import PracticeTill
from oms_hub.channel.contract import ChannelSession, Connection, PullRequest
from oms_hub.errors import BadPayload, Misconfigured, NeedsReconnect, RetryLater

HEADER = "order_id,sold_at,sku,quantity,unit_price\n"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Till:
    """A feed as the hub runs it: pages land in order, and all that landed of a receipt makes its order."""

    def __init__(self, path, secrets=None, **settings):
        self.settings = {"path": str(path), **settings}
        self.secrets = secrets or {}
        self.cursor = {}
        self.payloads = defaultdict(list)
        self.gone = []
        self.notices = []

    @property
    def connection(self):
        return Connection(1, "till", "pos_feed", "shop", "MXN", "America/Mexico_City", self.settings)

    def get(self, name):
        return self.secrets.get(name)

    def session(self):
        return ChannelSession(self.connection, self, lambda: NOW, lambda _: None)

    def pull(self, *, is_full=False, stop_after=None):
        """Return the rows that landed, as (receipt, line)."""
        landed = []
        pages = CHANNEL.order_source(self.session(), PullRequest(self.cursor, is_full=is_full))
        for number, page in enumerate(pages, start=1):
            self.cursor = json.loads(json.dumps(page.cursor))
            self.notices += [(notice.kind, notice.reference) for notice in page.notices]
            for record in CHANNEL.split_page(page.kind, page.body):
                if page.kind == "order_tombstones":
                    self.gone.append(record.record_id)
                    continue
                self.payloads[record.record_id].append(record.payload)
                landed += [(record.record_id, row[0]) for row in record.payload["rows"]]
            if number == stop_after:
                pages.close()
                break
        return landed

    def order(self, order_id):
        return CHANNEL.parse_order(self.payloads[order_id], self.connection)

    def total(self, order_id):
        return self.order(order_id).total

    def totals(self):
        return {order_id: self.total(order_id) for order_id in self.payloads if order_id not in self.gone}


def row(order_id, sku="MUG", quantity=1, price="10.00", at="2026-11-20 10:00:00"):
    return f"{order_id},{at},{sku},{quantity},{price}\n"


def touch(path):
    """Give a file another time, as any writer does."""
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    touch(path)
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "till.csv", HEADER + row("1") + row("1", "CUP") + row("2"))


# ------------------------------------------------------------------------------------------------------ once


def test_a_file_is_taken_once(file):
    till = Till(file)
    assert till.pull() == [("1", 2), ("1", 3), ("2", 4)]
    before = till.cursor
    assert till.pull() == []
    assert till.pull(is_full=True) == []
    assert (till.cursor, till.totals()) == (before, {"1": Decimal(20), "2": Decimal(10)})


def test_an_untouched_file_gives_no_page_at_all(file):
    till = Till(file)
    till.pull()
    assert list(CHANNEL.order_source(till.session(), PullRequest(till.cursor))) == []


def test_a_growing_file_is_taken_by_its_new_rows_only(file):
    till = Till(file)
    till.pull()
    write(file, file.read_text() + row("2", "CUP") + row("3"))
    assert till.pull() == [("2", 5), ("3", 6)]
    assert till.totals() == {"1": Decimal(20), "2": Decimal(20), "3": Decimal(10)}
    assert till.notices == []


def test_a_last_line_without_end_waits_until_the_file_stands_still(file):
    till = Till(file)
    write(file, HEADER + row("1") + "2,2026-11-20 10:00:00,MUG,1,1")
    assert till.pull() == [("1", 2)]
    write(file, HEADER + row("1") + "2,2026-11-20 10:00:00,MUG,1,19.9")
    assert till.pull() == []
    assert till.pull() == [("2", 3)]
    assert till.total("2") == Decimal("19.9")
    assert till.pull() == []


def test_a_last_line_that_was_taken_without_end_may_still_get_one(file):
    till = Till(file)
    write(file, HEADER + row("1") + row("2").rstrip())
    till.pull()
    assert till.pull() == [("2", 3)]
    write(file, HEADER + row("1") + row("2") + row("3"))
    assert till.pull() == [("2", 3), ("3", 4)]
    assert till.totals() == {"1": Decimal(10), "2": Decimal(10), "3": Decimal(10)}
    assert till.notices == []
    assert till.order("2").remarks == ()


def test_a_last_line_that_was_taken_too_early_is_mended_when_it_goes_on(file):
    till = Till(file)
    write(file, HEADER + row("1") + "2,2026-11-20 10:00:00,MUG,1,1")
    till.pull()
    assert till.pull() == [("2", 3)]
    write(file, HEADER + row("1") + "2,2026-11-20 10:00:00,MUG,1,19.90\n")
    assert till.pull() == [("2", 3)]
    assert till.total("2") == Decimal("19.90")
    assert till.order("2").remarks == ("till.csv:3 was changed after it was taken (unit_price)",)


def test_a_quoted_cell_that_is_still_open_at_the_end_waits_too(tmp_path):
    header = "order_id,sold_at,sku,quantity,unit_price,description\n"
    start = '1,2026-11-20 10:00:00,MUG,1,10.00,"red\n'
    file = write(tmp_path / "till.csv", header + start)
    till = Till(file)
    assert till.pull() == []
    write(file, header + start + 'and blue"\n' + row("2").rstrip() + ",x\n")
    assert till.pull() == [("1", 2), ("2", 4)]
    assert till.order("1").lines[0].title == "red\nand blue"


def test_a_header_alone_and_half_of_one_are_no_sales_yet(tmp_path):
    file = write(tmp_path / "till.csv", "order_id,sold_")
    till = Till(file)
    assert till.pull() == []
    write(file, HEADER)
    assert till.pull() == []
    write(file, HEADER + row("1"))
    assert till.pull() == [("1", 2)]


def test_a_file_of_no_bytes_is_refused_and_loses_nothing_of_what_was_taken(tmp_path, file):
    till = Till(tmp_path)
    till.pull()
    whole = file.read_text()
    write(file, "")
    write(tmp_path / "zz.csv", HEADER + row("9"))
    with pytest.raises(BadPayload, match=r"^till.csv is empty \(0 bytes\)$") as refusal:
        till.pull()
    assert refusal.value.remedy.startswith("Deliver it again with at least its header, or remove it")
    assert till.totals() == {"1": Decimal(20), "2": Decimal(10), "9": Decimal(10)}
    write(file, whole + row("3"))
    assert till.pull() == [("3", 5)]
    assert till.totals() == {"1": Decimal(20), "2": Decimal(10), "3": Decimal(10), "9": Decimal(10)}


# ------------------------------------------------------------------------------------------ copies and names


def test_a_copy_under_another_name_does_not_count_twice(tmp_path, file):
    till = Till(tmp_path)
    till.pull()
    write(tmp_path / "zz-copy.csv", file.read_text())
    assert till.pull() == []
    assert till.totals() == {"1": Decimal(20), "2": Decimal(10)}


def test_a_renamed_file_that_grew_gives_only_its_new_rows(tmp_path, file):
    till = Till(tmp_path)
    till.pull()
    write(tmp_path / "till-2026-11-20.csv", file.read_text() + row("3"))
    file.unlink()
    write(file, HEADER + row("4"))
    assert sorted(till.pull()) == [("3", 5), ("4", 2)]
    assert till.totals() == {"1": Decimal(20), "2": Decimal(10), "3": Decimal(10), "4": Decimal(10)}


def test_a_file_that_went_to_the_archive_is_fine_and_its_copy_is_still_known(tmp_path, file):
    till = Till(tmp_path)
    till.pull()
    text = file.read_text()
    file.unlink()
    assert till.pull() == []
    write(tmp_path / "again.csv", text)
    assert till.pull() == []


def test_exports_that_overlap_count_each_receipt_once(tmp_path):
    till = Till(tmp_path)
    write(tmp_path / "day-9.csv", HEADER + row("1") + row("1") + row("2"))
    write(tmp_path / "day-10.csv", HEADER + row("2") + row("3"))
    assert [order_id for order_id, _ in till.pull()] == ["1", "1", "2", "2", "3"]
    assert till.totals() == {"1": Decimal(20), "2": Decimal(10), "3": Decimal(10)}
    assert till.order("2").remarks == ()


def test_a_later_export_that_tells_a_receipt_anew_replaces_it_with_a_remark(tmp_path):
    till = Till(tmp_path)
    write(tmp_path / "a.csv", HEADER + row("1", quantity=1))
    till.pull()
    write(tmp_path / "b.csv", HEADER + row("1", quantity=3))
    till.pull()
    assert till.total("1") == Decimal(30)
    assert till.order("1").remarks == ("b.csv:2 tells this receipt anew, with other rows than a.csv:2",)


def test_a_receipt_that_goes_on_in_the_next_file_has_the_rows_of_both(tmp_path):
    till = Till(tmp_path)
    write(tmp_path / "a.csv", HEADER + row("1", "MUG"))
    write(tmp_path / "b.csv", HEADER + row("1", "CUP", price="5"))
    till.pull()
    assert till.total("1") == Decimal(15)
    assert till.order("1").remarks == ()


def test_line_ids_decide_where_there_are_some(tmp_path):
    header = HEADER.rstrip() + ",line_id\n"
    till = Till(tmp_path)
    write(tmp_path / "a.csv", header + row("1").rstrip() + ",L1\n" + row("1").rstrip() + ",L2\n")
    write(tmp_path / "b.csv", header + row("1", quantity=4).rstrip() + ",L2\n" + row("1").rstrip() + ",L3\n")
    till.pull()
    order = till.order("1")
    assert [(line.line_id, line.quantity) for line in order.lines] == [("L1", 1), ("L2", 4), ("L3", 1)]
    assert order.remarks == ("b.csv:2 replaces a.csv:3 (quantity)",)


def test_a_different_file_under_the_same_name_is_a_new_file(file):
    till = Till(file)
    till.pull()
    write(file, HEADER + row("7") + row("8"))
    assert till.pull() == [("7", 2), ("8", 3)]
    assert till.notices == [("source_changed", "till.csv")]
    assert (till.pull(), till.gone) == ([], [])


# ------------------------------------------------------------------------------------------------- changes


def big(tmp_path, receipts=900):
    text = HEADER + "".join(row(number, f"SKU-{number % 50:02d}", price="10.00") for number in range(1, receipts + 1))
    return write(tmp_path / "till.csv", text)


def test_a_changed_row_is_found_in_the_middle_and_only_its_part_is_read_again(tmp_path):
    file = big(tmp_path)
    till = Till(file)
    till.pull()
    lines = file.read_text().splitlines(keepends=True)
    lines[500] = lines[500].replace(",1,10.00", ",1,90.00")
    write(file, "".join(lines) + row("901"))
    landed = till.pull()
    again = [order_id for order_id, _ in landed if order_id != "901"]
    assert "500" in again
    assert len(again) < 400
    assert landed[-1] == ("901", 902)
    assert till.total("500") == Decimal("90.00")
    assert till.order("500").remarks == ("till.csv:501 was changed after it was taken (unit_price)",)
    assert till.order("499").remarks == ()
    [(kind, reference)] = till.notices
    first, last = map(int, reference.removeprefix("till.csv:").split("-"))
    assert kind == "source_changed"
    assert first <= 501 <= last
    assert (till.pull(), till.pull(is_full=True), till.gone) == ([], [], [])


def test_a_pull_that_is_killed_while_it_reads_a_part_again_reads_all_of_it_again(tmp_path):
    file = big(tmp_path, receipts=2500)
    till, undisturbed = Till(file), Till(file)
    till.pull()
    lines = file.read_text().splitlines(keepends=True)
    for at in (700, 2000):
        lines[at] = lines[at].replace(",1,10.00", ",1,90.00")
    write(file, "".join(lines))
    first = till.pull(stop_after=1)
    again = till.pull()
    undisturbed.pull()
    assert again[: len(first)] == first
    assert len(again) > len(first) == 500
    assert till.totals() == undisturbed.totals()
    assert (till.pull(), till.gone) == ([], [])


def test_a_change_that_moves_all_rows_behind_it_is_taken_from_there_on(tmp_path):
    file = big(tmp_path)
    till = Till(file)
    till.pull()
    lines = file.read_text().splitlines(keepends=True)
    lines[500] = lines[500].replace(",1,10.00", ",11,10.00")
    write(file, "".join(lines))
    landed = till.pull()
    assert landed[-1] == ("900", 901)
    assert len(landed) < 900
    assert sum(till.totals().values()) == Decimal(9100)
    assert [one for one in till.payloads if till.order(one).remarks] == ["500"]


def test_a_deleted_receipt_is_told_at_once_and_believed_at_the_second_look(tmp_path):
    file = big(tmp_path)
    till = Till(file)
    till.pull()
    lines = file.read_text().splitlines(keepends=True)
    write(file, "".join(lines[:500] + lines[501:]))
    till.pull()
    assert ([kind for kind, _ in till.notices], till.gone) == (["source_changed"], [])
    assert till.pull() == []
    assert till.gone == ["500"]
    assert till.notices[1:] == [("source_changed", "till.csv:500")]
    assert (till.pull(), till.gone) == ([], ["500"])
    assert sum(till.totals().values()) == Decimal(8990)


def test_a_file_that_is_being_rewritten_loses_nothing(tmp_path):
    file = big(tmp_path)
    whole = file.read_text()
    till = Till(file)
    till.pull()
    write(file, whole[: len(whole) // 2])
    till.pull()
    write(file, whole)
    till.pull()
    till.pull()
    assert till.gone == []
    assert sum(till.totals().values()) == Decimal(9000)


def test_a_receipt_that_moved_to_another_file_is_not_gone(tmp_path):
    till = Till(tmp_path)
    write(tmp_path / "a.csv", HEADER + row("1") + row("2"))
    till.pull()
    write(tmp_path / "b.csv", HEADER + row("2"))
    write(tmp_path / "a.csv", HEADER + row("1"))
    till.pull()
    till.pull()
    assert till.gone == []


def test_a_row_taken_out_of_a_receipt_is_taken_off_its_order_with_a_remark(file):
    till = Till(file)
    till.pull()
    write(file, HEADER + row("1") + row("2"))
    till.pull()
    assert till.totals() == {"1": Decimal(10), "2": Decimal(10)}
    assert till.order("1").remarks == ("a row that stood at till.csv:3 was removed or replaced after it was taken",)


def test_a_changed_row_with_another_end_of_its_quotes_is_read_to_the_end(tmp_path):
    header = HEADER.rstrip() + ",description\n"
    body = [row(number).rstrip() + ",plain" + '"' * (number > 200) + "\n" for number in range(1, 1000)]
    body[:200] = [line.replace("plain", "plain ") for line in body[:200]]
    file = write(tmp_path / "till.csv", header + "".join(body))
    till = Till(file)
    till.pull()
    chunk_end_line = till.cursor["files"][str(file)]["chunks"][1][1]
    at = chunk_end_line - 2
    assert body[at + 1].endswith(',plain"\n')
    body[at] = body[at].replace(',plain"', ',"lain ')
    write(file, header + "".join(body))
    till.pull()
    till.pull()
    assert till.order(str(at + 1)).lines[0].title.startswith("lain")
    assert till.gone == [str(at + 2)]
    assert sum(till.totals().values()) == Decimal(9980)


def test_whatever_happens_to_a_till_file_the_totals_follow_it(tmp_path):
    chance = random.Random(7)
    shop = PracticeTill(folder=tmp_path, orders=400, seed=3, clock=lambda: NOW - timedelta(days=1))
    till = Till(shop.file, **{key: value for key, value in shop.account.settings.items() if key != "path"})
    for turn in range(40):
        ids = shop.order_ids()
        match chance.randrange(4):
            case 0:
                shop.edit_order(chance.choice(ids))
            case 1:
                shop.delete_order(chance.choice(ids[5:]))
            case _:
                shop.place_order({"HUB-001": chance.randint(1, 3), "HUB-002": 1})
        os.utime(shop.file, (turn, turn))
        if chance.random() < 0.6:
            till.pull(stop_after=chance.choice([None, 1, 2]))
    till.pull()
    till.pull()
    till.pull()
    assert till.totals() == shop.totals()


def test_a_killed_pull_goes_on_where_it_was(tmp_path):
    file = big(tmp_path, receipts=2200)
    till, undisturbed = Till(file), Till(file)
    undisturbed.pull()
    first = till.pull(stop_after=1)
    rest = till.pull()
    assert len(first) == 500
    assert [*first, *rest] == [(str(number), number + 1) for number in range(1, 2201)]
    assert till.totals() == undisturbed.totals()


def test_other_settings_for_cutting_a_file_take_it_again(file):
    till = Till(file)
    till.pull()
    till.settings["encoding"] = "cp1252"
    assert till.pull() == [("1", 2), ("1", 3), ("2", 4)]
    assert (till.pull(), till.totals()) == ([], {"1": Decimal(20), "2": Decimal(10)})


def test_old_files_are_remembered_by_one_hash_and_still_watched(tmp_path):
    for number in range(1, 25):
        text = HEADER + "".join(row(f"{number}-{one}") for one in range(400))
        write(tmp_path / f"day-{number}.csv", text)
    till = Till(tmp_path)
    till.pull()
    till.pull()
    first = tmp_path / "day-1.csv"
    assert len(till.cursor["files"][str(first)]["chunks"]) == 1
    assert len(till.cursor["files"][str(tmp_path / "day-24.csv")]["chunks"]) == 2
    assert till.pull() == []
    write(first, first.read_text().replace("1-7,2026-11-20 10:00:00,MUG,1", "1-7,2026-11-20 10:00:00,MUG,3"))
    till.pull()
    assert till.total("1-7") == Decimal(30)
    assert till.notices == [("source_changed", "day-1.csv:1-401")]


# ----------------------------------------------------------------------------------- forms and file systems


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_encoding_grows_and_changes_as_any_other(tmp_path, encoding):
    header = HEADER.rstrip() + ",description\n"
    first = header + row("ñ1").rstrip() + ",Café\n" + row("2").rstrip() + ",Ü\n"
    file = write(tmp_path / "till.csv", first, encoding)
    till = Till(file, encoding=encoding)
    assert till.pull() == [("ñ1", 2), ("2", 3)]
    assert till.order("ñ1").lines[0].title == "Café"
    write(file, first + row("3").rstrip() + ",Ñ\n", encoding)
    assert till.pull() == [("3", 4)]
    write(file, first.replace("Ü", "ü") + row("3").rstrip() + ",Ñ\n", encoding)
    till.pull()
    assert till.order("2").lines[0].title == "ü"
    assert till.totals() == {"ñ1": Decimal(10), "2": Decimal(10), "3": Decimal(10)}


def test_letters_whose_bytes_look_like_line_ends_split_nothing(tmp_path):
    text = HEADER.rstrip() + ",description\n" + row("1").rstrip() + ",\u0a0a\u010a\u0a00\n" + row("2").rstrip() + ",x\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        till = Till(write(tmp_path / f"{encoding}.csv", text, encoding), encoding=encoding)
        assert till.pull() == [("1", 2), ("2", 3)]
        assert till.order("1").lines[0].title == "\u0a0a\u010a\u0a00"


def test_gzip_is_known_by_its_first_bytes_whatever_the_name(tmp_path):
    write(tmp_path / "a.csv.gz", gzip.compress((HEADER + row("1")).encode()))
    packed = write(tmp_path / "b.csv", gzip.compress((HEADER + row("2")).encode()))
    write(tmp_path / "c.gz", HEADER + row("3"))
    till = Till(tmp_path)
    assert till.pull() == [("1", 2), ("2", 2), ("3", 2)]
    write(packed, gzip.compress((HEADER + row("2") + row("4")).encode()))
    assert till.pull() == [("4", 3)]


def test_json_lines_keep_numbers_exact(tmp_path):
    lines = [
        '{"order_id": 77, "sold_at": "2026-11-20 10:00:00", "sku": "MUG", "quantity": 2, "unit_price": 0.1}',
        '{"order_id": "78", "sold_at": "2026-11-20 10:00:00", "sku": 5012, "quantity": "1", "unit_price": "1,50"}',
        "",
        '{"order_id": "78", "sold_at": "2026-11-20 10:00:00", "sku": "CUP", "quantity": 1, "unit_price": null}',
        "not json",
        "[1]",
        '{"sku": "MUG"}',
        '{"order_id": "79", "sold_at": [1], "sku": "CUP", "quantity": 1, "unit_price": 1}',
    ]
    till = Till(write(tmp_path / "till.jsonl", "\n".join(lines) + "\n"), format="jsonl", decimal=",")
    assert till.pull() == [
        ("77", 1), ("78", 2), ("78", 4), ("till.jsonl:5", 5), ("till.jsonl:6", 6), ("till.jsonl:7", 7), ("79", 8),
    ]  # fmt: skip
    assert till.total("77") == Decimal("0.2")
    with pytest.raises(BadPayload, match=r"till.jsonl:4: column unit_price is empty"):
        till.order("78")
    with pytest.raises(BadPayload, match=r"till.jsonl:5 is no row: not a JSON object"):
        till.order("till.jsonl:5")
    with pytest.raises(BadPayload, match=r"till.jsonl:7: column order_id is empty"):
        till.order("till.jsonl:7")
    with pytest.raises(BadPayload, match=r"till.jsonl:8 has no text or number in sold_at"):
        till.order("79")


def test_memory_and_globs_work_as_folders_do(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe("/feed/a.csv", (HEADER + row("1")).encode())
    memory.pipe("/feed/skip.txt", b"not ours")
    till = Till("memory://feed/*.csv")
    assert till.pull() == [("1", 2)]
    memory.pipe("/feed/b.csv", (HEADER + row("2")).encode())
    assert till.pull() == [("2", 2)]
    memory.rm("/feed", recursive=True)
    assert till.pull() == []


def test_hidden_and_unfinished_files_of_a_folder_are_passed_over(tmp_path, file):
    for name in (".hidden.csv", "x.csv.part", "x.tmp", "x.csv~"):
        write(tmp_path / name, "garbage")
    (tmp_path / "archive").mkdir()
    write(tmp_path / "archive" / "old.csv", HEADER + row("9"))
    assert len(Till(tmp_path).pull()) == 3


def test_empty_rows_and_headers_that_are_repeated_say_nothing(file):
    write(file, HEADER + row("1") + "\n,,,,\n" + HEADER + row("2"))
    assert Till(file).pull() == [("1", 2), ("2", 6)]


def test_a_huge_receipt_is_cut_into_pages_and_whole_again_in_its_order(tmp_path):
    rows = "".join(row("1", f"SKU-{number}") for number in range(4100))
    till = Till(write(tmp_path / "till.csv", HEADER + row("0") + rows + row("2")))
    pages = list(CHANNEL.order_source(till.session(), PullRequest({})))
    assert [page.source_line_count for page in pages] == [2000, 2000, 102]
    assert max(len(page.body) for page in pages) < 1_000_000
    till.pull()
    assert till.total("1") == Decimal(41000)
    assert len(till.order("1").lines) == 4100


# ------------------------------------------------------------------------------------------------ bad files


def refused(tmp_path, content, kind=BadPayload, **settings):
    """Put a bad file between two good ones; the good ones are taken, and the pull fails with this message."""
    write(tmp_path / "a.csv", HEADER + row("1"))
    write(tmp_path / "b.csv", content)
    write(tmp_path / "c.csv", HEADER + row("3"))
    till = Till(tmp_path, **settings)
    with pytest.raises(kind) as first:
        till.pull()
    with pytest.raises(kind) as second:
        till.pull()
    assert first.value.message == second.value.message
    assert {"1", "3"} <= till.payloads.keys()
    assert first.value.remedy != ""
    return first.value.message, till


def test_missing_columns_are_named_with_those_that_are_there(tmp_path):
    message, _ = refused(tmp_path, "order_id,when,sku,quantity,price\n1,2,3,4,5\n")
    assert message == (
        "b.csv lacks the column sold_at (sold_at), unit_price (unit_price); it has: order_id, when, sku, quantity, price"
    )


def test_another_delimiter_shows_in_the_columns_that_are_missing(tmp_path):
    message, _ = refused(tmp_path, HEADER.replace(",", ";") + row("1").replace(",", ";"))
    assert message.endswith("it has: order_id;sold_at;sku;quantity;unit_price")


def test_columns_of_the_same_name_are_refused(tmp_path):
    message, _ = refused(tmp_path, HEADER.rstrip() + ",sku\n" + row("1"))
    assert message == "b.csv has more than one column named sku"


def test_a_binary_file_is_refused(tmp_path):
    message, _ = refused(tmp_path, b"\x00\x01\x02\n\x00")
    assert message == "b.csv is no text in utf-8 at byte 0, line 1: it holds zero bytes"


def test_a_line_that_never_ends_is_refused(tmp_path):
    message, _ = refused(tmp_path, "x" * 1_100_000)
    assert message == "b.csv is no text in utf-8 at byte 0, line 1: no line ends within 1048576 bytes"


def test_a_header_whose_quotes_never_close_is_refused(tmp_path):
    message, _ = refused(tmp_path, '"order_id"x,\n1\n')
    assert message == "b.csv has no readable header (',' expected after '\"')"


def test_a_wrong_encoding_names_its_byte_and_takes_what_stands_before(tmp_path):
    content = HEADER.encode() + row("21").encode() + "22,2026-11-20 10:00:00,CAFÉ,1,1\n".encode("cp1252") + b"23\n"
    message, till = refused(tmp_path, content)
    at = content.index("É".encode("cp1252"))
    assert message == f"b.csv is not utf-8 at byte {at}, line 3"
    assert "21" in till.payloads
    assert "23" not in till.payloads
    till.settings["encoding"] = "cp1252"
    till.pull()
    assert till.order("22").lines[0].sku == "CAFÉ"


def test_a_cut_off_gzip_file_is_refused(tmp_path):
    packed = gzip.compress((HEADER + "".join(row(number) for number in range(3000))).encode())
    message, _ = refused(tmp_path, packed[: len(packed) // 2])
    assert message == "b.csv is a damaged or unfinished gzip file (EOFError)"


def test_several_bad_files_are_told_together(tmp_path):
    for number in range(7):
        write(tmp_path / f"bad-{number}.csv", "nothing\n")
    write(tmp_path / "good.csv", HEADER + row("1"))
    till = Till(tmp_path)
    with pytest.raises(BadPayload, match=r"^7 of 8 files could not be taken: bad-0.csv lacks .*; and 2 more$"):
        till.pull()
    assert till.totals() == {"1": Decimal(10)}


def test_rows_that_cannot_be_read_are_set_aside_alone(file):
    broken = '9,"2026"-11,MUG,1,1\n'
    write(file, HEADER + row("1") + broken + row("2") + "3,4\n" + row("4").rstrip() + ",,\n")
    till = Till(file)
    assert till.pull() == [("1", 2), ("till.csv:3", 3), ("2", 4), ("3", 5), ("4", 6)]
    with pytest.raises(BadPayload, match=r"^till.csv:3 is no row: ',' expected after '\"'$"):
        till.order("till.csv:3")
    with pytest.raises(BadPayload, match=r"^till.csv:5 has 2 cells, the header has 5$"):
        till.order("3")
    assert till.total("4") == Decimal(10)
    write(file, HEADER + row("1") + row("9") + row("2") + row("3") + row("4"))
    till.pull()
    till.pull()
    assert (till.total("3"), till.total("9"), till.gone) == (Decimal(10), Decimal(10), ["till.csv:3"])


def test_a_quote_that_never_closes_swallows_no_receipt_behind_it(tmp_path):
    header = HEADER.rstrip() + ",description\n"
    rows = [row(number).rstrip() + ",x\n" for number in range(1, 6000)]
    rows[2] = row(3).rstrip() + ',"x\n'
    till = Till(write(tmp_path / "till.csv", header + "".join(rows)))
    landed = till.pull()
    assert landed[2] == ("till.csv:4", 4)
    assert len(landed) == 5999


class Broken(fsspec.AbstractFileSystem):
    """A file system that fails as it is told to."""

    protocol = "broken"
    cachable = False
    listing: Exception | None = None
    opening: Exception | None = None

    def info(self, path, **kwargs):
        if self.listing:
            raise self.listing
        return {"name": path, "size": 10, "type": "file"}

    def exists(self, path, **kwargs):
        return self.info(path) is not None

    def isdir(self, path):
        return self.info(path)["type"] == "directory"

    def _open(self, path, mode="rb", **kwargs):
        raise self.opening


@pytest.fixture
def broken(monkeypatch):
    fsspec.register_implementation("broken", Broken, clobber=True)

    def tell(listing=None, opening=None):
        monkeypatch.setattr(Broken, "listing", listing)
        monkeypatch.setattr(Broken, "opening", opening)
        return Till("broken://user:hunter2@host/till.csv")

    return tell


class AuthenticationException(Exception):
    pass


class Locked(Broken):
    def __init__(self, **options):
        raise AuthenticationException("hunter2")


class Unlisted(Broken):
    def exists(self, path, **kwargs):
        return False


@pytest.mark.parametrize(
    ("trouble", "kind", "message"),
    [
        (PermissionError("no"), Misconfigured, "may not be read"),
        (FileNotFoundError("gone"), RetryLater, "vanished while it was read"),
        (TimeoutError("slow"), RetryLater, r"cannot be read now \(TimeoutError\)"),
    ],
)
def test_what_a_file_system_refuses_is_told_with_what_to_do(broken, trouble, kind, message):
    for till in (broken(listing=trouble), broken(opening=trouble)):
        with pytest.raises(kind, match=message) as caught:
            till.pull()
        assert "hunter2" not in str(caught.value)


class Stalling(io.RawIOBase):
    def readable(self):
        return True

    def readinto(self, buffer):
        raise ConnectionResetError("cut")


def test_a_connection_that_is_cut_while_reading_is_tried_again(broken, monkeypatch):
    till = broken()
    monkeypatch.setattr(Broken, "_open", lambda *_args, **_more: Stalling())
    with pytest.raises(RetryLater, match=r"till.csv cannot be read now \(ConnectionResetError\)"):
        till.pull()


def test_refused_credentials_ask_for_a_new_connection(broken):
    with pytest.raises(NeedsReconnect, match="refuses our credentials"):
        broken(listing=AuthenticationException("hunter2")).pull()
    with pytest.raises(NeedsReconnect, match="refuses our credentials"):
        broken(opening=AuthenticationException("hunter2")).pull()
    fsspec.register_implementation("locked", Locked, clobber=True)
    with pytest.raises(NeedsReconnect, match="refuses our credentials"):
        Till("locked://host/till.csv").pull()


def test_a_folder_that_cannot_be_told_from_nothing_is_tried_again(broken):
    fsspec.register_implementation("broken", Unlisted, clobber=True)
    with pytest.raises(RetryLater, match="cannot be read now"):
        broken(listing=TimeoutError("slow")).pull()
    fsspec.register_implementation("broken", Broken, clobber=True)


def test_wide_letters_without_a_mark_are_taken_as_little_endian(tmp_path):
    file = write(tmp_path / "till.csv", (HEADER + row("1")).encode("utf-16-le"))
    assert Till(file, encoding="utf-16").pull() == [("1", 2)]


def test_a_copy_that_goes_on_in_the_middle_of_a_row_is_a_file_of_its_own(tmp_path):
    text = HEADER + row("1") + "2,2026-11-20 10:00:00,MUG,1,1"
    file = write(tmp_path / "a.csv", text)
    till = Till(tmp_path)
    till.pull()
    assert till.pull() == [("2", 3)]
    write(tmp_path / "b.csv", text + "9.90\n")
    file.unlink()
    assert till.pull() == [("1", 2), ("2", 3)]
    assert till.totals() == {"1": Decimal(10), "2": Decimal("19.90")}


def test_a_missing_extra_names_its_package(tmp_path):
    with pytest.raises(Misconfigured, match=r"needs the Python package \w+"):
        Till("sftp://host/till.csv").pull()


@pytest.mark.parametrize("path", ["nowhere://x/y", "{tmp}/none.csv", "{tmp}/*.csv"])
def test_a_path_that_names_nothing_is_said_once_and_for_all(tmp_path, path):
    with pytest.raises(Misconfigured):
        Till(path.format(tmp=tmp_path)).pull()


def test_an_empty_folder_is_no_error(tmp_path):
    assert Till(tmp_path).pull() == []


def test_storage_options_come_from_the_secrets_and_are_never_shown(tmp_path, file):
    assert len(Till(file, secrets={"storage_options": '{"auto_mkdir": true}'}).pull()) == 3
    for text in ("hunter2", '["hunter2"]'):
        with pytest.raises(Misconfigured) as caught:
            Till(file, secrets={"storage_options": text}).pull()
        assert "hunter2" not in caught.value.one_line()


def test_a_file_that_changed_just_now_is_looked_at_again(tmp_path, file):
    till = Till(file)
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    till.pull()
    file.write_text(file.read_text().replace("2,2026-11-20 10:00:00,MUG,1", "2,2026-11-20 10:00:00,MUG,5"))
    os.utime(file, (NOW.timestamp(), NOW.timestamp()))
    till.pull()
    assert till.total("2") == Decimal(50)


def test_a_page_of_another_make_is_refused():
    for kind, body in (("orders", b"[]"), ("orders", b"{"), ("order_tombstones", b'{"a": 1}')):
        with pytest.raises(BadPayload, match=f"a page of {kind} is not one of the POS feed"):
            CHANNEL.split_page(kind, body)
