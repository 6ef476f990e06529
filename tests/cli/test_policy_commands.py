"""`oms-hub policy`, `oms-hub bundles` and `oms-hub locations link`, as people use them."""

from __future__ import annotations

import pytest


@pytest.fixture
def shop(acme):
    """Give acme with a count of two SKUs and a file connection."""
    (acme.folder / "counts.csv").write_text("sku,location,quantity\nCUP,,10\nPOT,,3\n", encoding="utf-8")
    assert acme("stock", "import", "counts.csv", "--merchant", "acme", "--create-skus").exit_code == 0
    return acme


def rows(program, *words):
    told = program(*words, "--json")
    assert told.exit_code == 0, told.output
    return told.json


def test_what_was_said_is_listed_and_can_be_taken_back(shop):
    said = shop("policy", "set", "safety_stock=2", "share=50%", "scarce=shared", "--merchant", "acme")
    assert (said.exit_code, said.stderr) == (0, "")
    assert shop("policy", "set", "cap=3", "is_paused=false", "--merchant", "acme", "--sku", "CUP").exit_code == 0
    assert shop("policy", "set", "safety-stock=1", "--merchant", "acme", "--place", "main").exit_code == 0
    assert (
        shop(
            "policy", "set", "news_seconds=30", "places=main", "--merchant", "acme", "--channel", "woocommerce"
        ).exit_code
        == 0
    )

    told = [(row["for"], row["field"], row["value"]) for row in rows(shop, "policy", "show", "--merchant", "acme")]
    assert told == [
        ("merchant acme", "safety_stock", 2), ("merchant acme", "share", "0.5"), ("merchant acme", "scarce", "shared"),
        ("channel woocommerce", "news_seconds", 30.0), ("channel woocommerce", "places", "main"),
        ("sku CUP", "cap", 3), ("sku CUP", "is_paused", False), ("place main", "safety_stock", 1),
    ]  # fmt: skip

    assert shop("policy", "set", "cap=", "is_paused=", "--merchant", "acme", "--sku", "CUP").exit_code == 0
    assert (
        shop("policy", "set", "places=", "news_seconds=", "--merchant", "acme", "--channel", "woocommerce").exit_code
        == 0
    )
    assert shop("policy", "set", "safety_stock=", "--merchant", "acme", "--place", "main").exit_code == 0
    assert {row["for"] for row in rows(shop, "policy", "show")} == {"merchant acme"}


def test_a_floor_is_taken_with_a_warning(shop):
    said = shop("policy", "set", "floor=1", "--merchant", "acme")

    assert said.exit_code == 0
    assert said.complaint == "warning: floor 1 offers units that may not be there: it oversells on purpose"


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("cap=1", "floor=2", "--merchant", "acme"), 1, "cap 1 (said now) is below floor 2 (said now)"),
        (("cap=2", "--merchant", "nobody"), 1, "no merchant 'nobody'"),
        (("cap=2", "--merchant", "acme", "--sku", "LID"), 1, "acme has no SKU LID"),
        (("cap=2", "--merchant", "acme", "--connection", "x"), 1, "no connection 'x'"),
        (("places=attic", "--merchant", "acme"), 1, "acme has no location attic"),
        (("safety_stock=2", "--merchant", "acme", "--place", "attic"), 1, "acme has no location attic"),
        (("cap=2", "--merchant", "acme", "--place", "main"), 2, "a place states only safety_stock"),
        (("cap=2", "--merchant", "acme", "--channel", "shopify", "--sku", "CUP"), 2, "a channel stands alone"),
        (("cap=2.5", "--merchant", "acme"), 2, "'2.5' cannot be a cap"),
        (("share=many", "--merchant", "acme"), 2, "'many' cannot be a share"),
        (("risk=x", "--merchant", "acme"), 2, "'x' cannot be a risk"),
        (("scarce=no", "--merchant", "acme"), 2, "'no' cannot be a scarce"),
        (("is_paused=1", "--merchant", "acme"), 2, "'1' cannot be a is_paused"),
        (("places=a,,b", "--merchant", "acme"), 2, "'a,,b' cannot be a places"),
        (("stock=2", "--merchant", "acme"), 2, "give FIELD=VALUE with one of"),
        (("cap=1", "cap=2", "--merchant", "acme"), 2, "cap is given twice"),
    ],
)
def test_what_cannot_be_said_is_refused_in_one_line_and_nothing_changes(shop, words, code, complaint):
    said = shop("policy", "set", *words)

    assert said.exit_code == code
    assert complaint in " ".join(said.stderr.replace("│", " ").split())
    assert rows(shop, "policy", "show") == []


def test_why_tells_who_said_what_of_a_listing(shop):
    assert shop("policy", "set", "cap=4", "--merchant", "acme").exit_code == 0
    program_rows = shop.rows("SELECT merchant_id, (SELECT sku_id FROM hub.skus WHERE sku = 'CUP') FROM hub.merchants")
    assert program_rows
    assert "CUP has no listing there" in shop("policy", "why", "CUP", "--merchant", "acme").stdout
    assert shop("policy", "why", "LID", "--merchant", "acme").complaint.startswith("acme has no SKU LID")


def test_a_connection_of_another_merchant_is_refused(shop):
    shop("merchants", "add", "other", "--currency", "EUR", "--time-zone", "Europe/Madrid")
    added = shop(
        "connections", "add", "pos_feed", "till", "--merchant", "other", "--no-test", "--set", "path=.", "--set", "currency=EUR",
        "--set", "time_zone=Europe/Madrid",
    )  # fmt: skip
    assert added.exit_code == 0, added.output

    said = shop("policy", "set", "cap=1", "--merchant", "acme", "--connection", "till")
    assert said.complaint == "till belongs to other. Name its own merchant"
    assert shop("policy", "set", "cap=1", "--merchant", "other", "--connection", "till").exit_code == 0
    assert rows(shop, "policy", "why", "CUP", "--merchant", "acme", "--connection", "till") == []
    linked = shop("locations", "link", "till", "S1", "attic")
    assert linked.complaint == "other has no location attic. See: oms-hub locations list"
    assert "no location S1" in shop("locations", "link", "till", "S1", "main").complaint


def test_bundles_are_said_listed_imported_and_removed(shop):
    assert (
        shop("bundles", "set", "KIT", "CUP=2", "POT=1", "--merchant", "acme").stdout
        == "KIT is made of 2 of CUP, 1 of POT.\n"
    )
    (shop.folder / "bundles.csv").write_text("bundle,component,units\nBOX,CUP,1\n\nKIT,POT,2\n", encoding="utf-8")
    assert shop("bundles", "import", "bundles.csv", "--merchant", "acme").stdout == "2 bundles imported.\n"

    told = [
        (row["bundle"], row["component"], row["units"]) for row in rows(shop, "bundles", "show", "--merchant", "acme")
    ]
    assert told == [("BOX", "CUP", 1), ("KIT", "POT", 2)]
    assert shop("bundles", "remove", "BOX", "--merchant", "acme").exit_code == 0
    assert [row["bundle"] for row in rows(shop, "bundles", "show")] == ["KIT"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("bundle,component,units\nBOX,CUP,1.5\n", "bundles.csv line 2: '1.5' is no whole number of units"),
        ("bundle,component,units\nBOX,CUP,0\n", "bundles.csv line 2: '0' is no whole number of units"),
        ("bundle,component,units\nBOX,CUP,1\nBOX,CUP,2\n", "bundles.csv line 3: CUP stands twice in BOX"),
        ("bundle,component,units\nBOX,CUP\n", "bundles.csv line 2: not bundle,component,units"),
        ("bundle;component;units\n", "The first line of bundles.csv must be bundle,component,units"),
        ("bundle,component,units\n", "bundles.csv names no bundle"),
        ("bundle,component,units\nBOX,CUP,1\nKIT,LID,1\n", "the merchant has no SKU LID"),
        ('bundle,component,units\n"BOX,CUP,1\n', "bundles.csv is no CSV file in UTF-8"),
        (None, "bundles.csv cannot be read"),
    ],
)
def test_a_file_of_bundles_with_a_fault_changes_nothing(shop, content, complaint):
    if content is not None:
        (shop.folder / "bundles.csv").write_text(content, encoding="utf-8")

    said = shop("bundles", "import", "bundles.csv", "--merchant", "acme")

    assert said.exit_code == 1
    assert complaint in said.complaint
    assert rows(shop, "bundles", "show") == []


@pytest.mark.parametrize("words", [("CUP",), ("=2",), ("CUP=1", "CUP=2")])
def test_components_are_given_once_each_with_their_units(shop, words):
    assert shop("bundles", "set", "KIT", *words, "--merchant", "acme").exit_code == 2
