"""Files of counts and of links that cannot be used: refused whole, line by line, and taken once they are mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HEADER = "sku,location,quantity\n"
GOOD = f"{HEADER}MUG-1,main,5\nMUG-2,,7\n"


@pytest.fixture
def shop(acme: Any, tmp_path: Path) -> Any:
    """Give acme with the SKUs MUG-1 and MUG-2, without a count."""
    acme_id = acme.rows("SELECT merchant_id FROM hub.merchants")[0][0]
    import psycopg

    with psycopg.connect(acme.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO hub.skus (merchant_id, sku) VALUES (%(id)s, 'MUG-1'), (%(id)s, 'MUG-2')", {"id": acme_id}
        )
    return acme


def _import(shop: Any, content: str | bytes, *words: str) -> Any:
    data = content.encode() if isinstance(content, str) else content
    (shop.folder / "count.csv").write_bytes(data)
    return shop("stock", "import", "count.csv", "--merchant", "acme", *words)


NOTHING_DONE = "Nothing was applied: correct the file and import it again"
AS_CSV = "Save it as comma-separated text (CSV) in UTF-8"
FIRST_LINE = "Its first line must be sku,location,quantity[,unit_cost][,counted_at]"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            f"{HEADER}MUG-9,main,1\n",
            "count.csv: 1 row is wrong: line 2: unknown SKU 'MUG-9'. "
            f"{NOTHING_DONE}; add new SKUs with --create-skus",
        ),
        (
            f"{HEADER}MUG-1,west,1\n",
            "count.csv: 1 row is wrong: line 2: unknown location 'west'. "
            f"{NOTHING_DONE}; known locations are main; add one with: oms-hub locations add CODE --merchant acme",
        ),
        (
            f"{HEADER}MUG-1,main,-3\nMUG-2,main,4\n",
            f"count.csv: 1 row is wrong: line 2: quantity -3 is negative. {NOTHING_DONE}",
        ),
        (
            f"{HEADER}MUG-1,main,many\n",
            f"count.csv: 1 row is wrong: line 2: quantity 'many' is not a number. {NOTHING_DONE}",
        ),
        (f"{HEADER}MUG-1,main,\n", f"count.csv: 1 row is wrong: line 2: no quantity. {NOTHING_DONE}"),
        (f"{HEADER}MUG-1,main,2.5\n", f"count.csv: 1 row is wrong: line 2: quantity 2.5 is not whole. {NOTHING_DONE}"),
        (
            f'{HEADER}MUG-1,main,"2,5"\n',
            f"count.csv: 1 row is wrong: line 2: quantity 2,5 is not whole. {NOTHING_DONE}",
        ),
        (
            f"{HEADER}MUG-1,main,99999999999\n",
            f"count.csv: 1 row is wrong: line 2: quantity 99999999999 is too large. {NOTHING_DONE}",
        ),
        (
            f"{HEADER}MUG-1,main,1\nMUG-2,main,2\nMUG-1,,3\n",
            "count.csv: 1 row is wrong: line 4: SKU 'MUG-1' stands in line 2 already for the same location. "
            f"{NOTHING_DONE}",
        ),
        (f"{HEADER}MUG-1,main\n", f"count.csv: 1 row is wrong: line 2: 2 fields instead of 3. {NOTHING_DONE}"),
        (f"{HEADER},main,3\n", f"count.csv: 1 row is wrong: line 2: no SKU. {NOTHING_DONE}"),
        (
            "sku,location,quantity,counted_at\nMUG-1,main,1,2999-01-01\n",
            f"count.csv: 1 row is wrong: line 2: counted_at 2999-01-01 is in the future. {NOTHING_DONE}",
        ),
        (
            "sku,location,quantity,counted_at\nMUG-1,main,1,31/12/2025\n",
            "count.csv: 1 row is wrong: line 2: counted_at '31/12/2025' is not an ISO date or time. "
            f"{NOTHING_DONE}",
        ),
        (
            "sku,location,quantity,unit_cost\nMUG-1,main,1,cheap\n",
            f"count.csv: 1 row is wrong: line 2: unit_cost 'cheap' is not a number. {NOTHING_DONE}",
        ),
        (
            f"{HEADER}MUG-1,main,-1\nMUG-9,main,x\nMUG-2,main,2\n",
            "count.csv: 2 rows are wrong: line 2: quantity -1 is negative; line 3: quantity 'x' is not a number. "
            f"{NOTHING_DONE}",
        ),
        ("code,place,units\nMUG-1,main,1\n", f"The header of count.csv lacks sku, location, quantity. {FIRST_LINE}"),
        (
            "sku;location;quantity\nMUG-1;main;1\n",
            f"The header of count.csv lacks sku, location, quantity. {FIRST_LINE} separated by commas",
        ),
        ("sku,location,quantity,colour\n", f"The header of count.csv has the column colour. {FIRST_LINE}"),
        ("sku,location,quantity,sku\n", f"The header of count.csv has the column names twice. {FIRST_LINE}"),
        (HEADER, "count.csv has a header and no counts. Add one line per SKU and location"),
        ("", f"count.csv is empty. {FIRST_LINE}"),
        ("\n\n", f"count.csv is empty. {FIRST_LINE}"),
        (f"{HEADER}MUG-\u00d1,main,1\n".encode("cp1252"), f"count.csv is not UTF-8 (after line 1). {AS_CSV}"),
        (GOOD.encode("utf-16"), f"count.csv is not UTF-8 but UTF-16. {AS_CSV}"),
        (b"PK\x03\x04\x00\x00\x08\x00" + bytes(range(256)), f"count.csv is a binary file. {AS_CSV}"),
    ],
)  # fmt: skip
def test_a_count_with_a_fault_is_refused_whole_and_taken_once_mended(
    content: str | bytes, complaint: str, shop: Any
) -> None:
    before = shop.row_counts()
    result = _import(shop, content)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.complaint == complaint
    assert shop.row_counts() == before
    mended = _import(shop, GOOD)
    assert (mended.exit_code, mended.stdout) == (0, "2 counts taken, 2 levels changed, 0 SKUs added.\n")
    assert shop.rows("SELECT sku, on_hand FROM hub.balances JOIN hub.skus USING (sku_id) ORDER BY sku") == [
        ("MUG-1", 5), ("MUG-2", 7),
    ]  # fmt: skip


def test_a_hundred_wrong_rows_are_told_in_one_line(shop: Any) -> None:
    result = _import(shop, HEADER + "".join(f"MUG-1,main,{-row}\n" for row in range(1, 101)))
    assert result.exit_code == 1
    assert result.complaint.startswith("count.csv: 100 rows are wrong: line 2: quantity -1 is negative; ")
    assert "line 21: quantity -20 is negative; and 80 more. " in result.complaint


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_a_count_that_is_not_there_is_named(name: str, shop: Any) -> None:
    before = shop.row_counts()
    result = shop("stock", "import", name, "--merchant", "acme")
    assert result.exit_code == 1
    assert result.complaint.endswith("Correct the path")
    assert shop.row_counts() == before


def test_a_count_of_an_unknown_merchant_names_the_known_ones(shop: Any) -> None:
    (shop.folder / "count.csv").write_text(GOOD, encoding="utf-8")
    before = shop.row_counts()
    result = shop("stock", "import", "count.csv", "--merchant", "nobody")
    assert result.exit_code == 1
    assert "nobody" in result.complaint
    assert "acme" in result.complaint
    assert shop.row_counts() == before


@pytest.mark.parametrize(
    "words",
    [
        ("stock", "show", "MUG-1", "--merchant", "nobody"),
        ("report", "sales_daily", "--merchant", "nobody"),
        ("report", "rebuild", "--merchant", "nobody"),
        ("connections", "list", "--merchant", "nobody"),
        ("locations", "list", "--merchant", "nobody"),
        ("locations", "add", "west", "--merchant", "nobody"),
    ],
    ids=" ".join,
)
def test_an_unknown_merchant_is_named_with_the_known_ones(words: tuple[str, ...], shop: Any) -> None:
    before = shop.row_counts()
    result = shop(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nobody" in result.complaint
    assert "acme" in result.complaint
    assert shop.row_counts() == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--currency", "MX", "--time-zone", "UTC"), "MX"),
        (("--currency", "MXN", "--time-zone", "Mars/Olympus"), "Mars/Olympus"),
    ],
)
def test_a_merchant_with_a_wrong_currency_or_zone_is_refused(words: tuple[str, ...], complaint: str, acme: Any) -> None:
    before = acme.row_counts()
    result = acme("merchants", "add", "other", *words)
    assert result.exit_code == 1
    assert complaint in result.complaint
    assert acme.row_counts() == before


def test_a_merchant_a_place_and_a_sku_that_are_wrong_are_named(shop: Any) -> None:
    before = shop.row_counts()
    twice = shop("merchants", "add", "acme", "--currency", "MXN", "--time-zone", "UTC")
    place = shop("locations", "add", "main", "--merchant", "acme")
    sku = shop("stock", "show", "MUG-9", "--merchant", "acme")
    report = shop("report", "profits")
    assert [result.exit_code for result in (twice, place, sku, report)] == [1, 1, 1, 1]
    assert "acme" in twice.complaint
    assert "main" in place.complaint
    assert "MUG-9" in sku.complaint
    assert "sales_daily" in report.complaint
    assert shop.row_counts() == before


def _listed(shop: Any) -> Any:
    """Give acme with a till that offers two listings of no SKU."""
    import psycopg

    (shop.folder / "till.csv").write_text("order_id,sold_at,sku,quantity,unit_price\n", encoding="utf-8")
    words = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={shop.folder}/till.csv")
    assert shop(*words).exit_code == 0
    with psycopg.connect(shop.database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO hub.listings (connection_id, listing_key, merchant_id)"
            " SELECT connection_id, unnest(ARRAY['11', '12']), merchant_id FROM hub.connections"
        )
    return shop


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("listing,sku\n11,MUG-1\n", "links.csv has the columns listing, sku. Its first line must be: listing_key,sku"),
        ("", "links.csv has the columns none. Its first line must be: listing_key,sku"),
        ("listing_key,sku\n11,MUG-9\n", "MUG-9"),
        ("listing_key,sku\n99,MUG-1\n", "99"),
        ("listing_key,sku\n11,MUG-1\n11,MUG-2\n", "links.csv line 3: listing 11 stands on line 2 already. "),
        ("listing_key,sku\n11,\n", "links.csv line 2: a listing key and a SKU are needed, and nothing more. "),
        ("listing_key,sku\n11,MUG-1,2\n", "links.csv line 2: a listing key and a SKU are needed, and nothing more. "),
        ("listing_key,sku,pack_size\n11,MUG-1,none\n", "links.csv line 2: pack size 'none' is not a whole number "),
        ("listing_key,sku,pack_size\n11,MUG-1,99999999999\n", "links.csv line 2: pack size '99999999999' is "),
        ("listing_key,sku\n11,MUG-\u00d1\n".encode("cp1252"), "links.csv is not a CSV file in UTF-8. Save it as CSV"),
        (b"PK\x03\x04\x00\x00\x08\x00" + bytes(range(256)), "links.csv is not a CSV file in UTF-8. Save it as CSV"),
        (b"listing_key,sku\n11,MUG\x00-1\n", "links.csv line 2: a code with characters that cannot be printed. "),
    ],
)
def test_links_with_a_fault_are_refused_whole_and_taken_once_mended(
    content: str | bytes, complaint: str, shop: Any
) -> None:
    till = _listed(shop)
    before = till.row_counts(), till.rows("SELECT listing_key, link_state FROM hub.listings ORDER BY 1")
    file = till.folder / "links.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    result = till("listings", "import", "till", "links.csv")
    assert (result.exit_code, result.stdout) == (1, "")
    assert complaint in result.complaint
    assert (till.row_counts(), till.rows("SELECT listing_key, link_state FROM hub.listings ORDER BY 1")) == before
    file.write_text("listing_key,sku\n11,MUG-1\n12,MUG-2\n", encoding="utf-8")
    mended = till("listings", "import", "till", "links.csv")
    assert (mended.exit_code, mended.stdout) == (0, "2 listings of till linked.\n")


def test_links_that_are_not_there_and_unknown_listings_are_named(shop: Any) -> None:
    till = _listed(shop)
    before = till.row_counts()
    nowhere = till("listings", "import", "till", "nowhere.csv")
    unknown = till("listings", "link", "till", "99", "MUG-1")
    other = till("listings", "import", "shop", "nowhere.csv")
    ignored = till("listings", "ignore", "till", "99")
    assert [result.exit_code for result in (nowhere, unknown, other, ignored)] == [1, 1, 1, 1]
    assert nowhere.complaint == "nowhere.csv cannot be read (No such file or directory). Check the path"
    assert "99" in unknown.complaint
    assert "till" in other.complaint
    assert "99" in ignored.complaint
    assert till.row_counts() == before
