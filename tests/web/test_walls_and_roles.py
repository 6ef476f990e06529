"""One merchant never sees another, in the application and in the database; who may do what; what stays written."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from oms_hub.errors import Misconfigured
from oms_hub.store.audit import list_audit
from oms_hub.store.row_security import WEB_ROLE, WalledStore, ensure_web_role, require_web_role
from oms_hub.store.users import remove_member, set_role

SECRETS = "INSERT INTO hub.secrets (connection_id, name, merchant_id, reference) VALUES (:c, 'k', :m, 'env:K')"


@pytest.fixture
def foreign(console: Any) -> tuple[Any, int]:
    """Give a connection of the other merchant with an order and an exception; acme has one of its own."""
    console.add_sku("MUG")
    console.add_sku("THEIRS", console.other)
    own = console.connect("ours")
    theirs = console.connect("theirs", console.other)
    console.add_order(own, "1")
    console.add_order(theirs, "2")
    console.run(SECRETS, c=theirs.connection_id, m=theirs.merchant_id)
    console.run(
        "INSERT INTO hub.listings (connection_id, listing_key, merchant_id) VALUES (:c, 'L', :m)",
        c=theirs.connection_id, m=theirs.merchant_id,
    )  # fmt: skip
    return theirs, console.add_exception(theirs, "bad_payload", "2")


GETS = [
    "/connections/theirs", "/connections/theirs/setup", "/connections/theirs/reconnect",
    "/orders/view?connection=theirs&order=2", "/stock/view?sku=THEIRS", "/listings/link?connection=theirs&listing=L",
    "/exceptions/{exception}",
]  # fmt: skip
POSTS = [
    "/connections/theirs/test", "/connections/theirs/state/pause", "/connections/theirs/push",
    "/connections/theirs/disconnect", "/connections/theirs/reconnect", "/connections/theirs/approve",
    "/connections/theirs/run/read", "/connections/theirs/places", "/exceptions/{exception}/dismiss",
    "/exceptions/{exception}/retry", "/exceptions/{exception}/map", "/people/tokens/1/revoke",
]  # fmt: skip


def test_ids_of_another_merchant_open_nothing(console: Any, foreign: tuple[Any, int]) -> None:
    before = console.rows("SELECT name, state, is_push_enabled FROM hub.connections ORDER BY 1")
    visit = console.signed_in()
    for path in GETS:
        page = visit.see(path.format(exception=foreign[1]), status=404)
        assert "It may belong to another business" in page
    for path in POSTS[:-1]:
        fields = {"reason": "r", "push": "on"}
        visit.submit_form(path.format(exception=foreign[1]), fields, status=404)
    visit.submit("/people/tokens/1/revoke", status=400)
    visit.submit("/listings/link", connection="theirs", listing="L", sku="MUG", status=404)
    visit.submit(f"/people/{console.users['stranger'].user_id}/role", role="viewer", status=400)
    visit.submit("/merchant", merchant=str(console.other.merchant_id))
    assert "acme" in visit.see("/")
    assert "theirs" not in visit.see("/")
    assert console.rows("SELECT name, state, is_push_enabled FROM hub.connections ORDER BY 1") == before
    assert console.rows("SELECT state FROM hub.exceptions") == [("open",)]


def test_no_list_and_no_export_shows_another_merchants_rows(console: Any, foreign: tuple[Any, int]) -> None:
    visit = console.signed_in()
    for path in ("/", "/orders", "/stock", "/listings", "/exceptions?state=", "/alerts", "/audit", "/people"):
        page = visit.see(path)
        assert "theirs" not in page.lower(), path
        assert "stranger@" not in page, path
    for name in ("orders", "stock", "listings", "exceptions", "alerts"):
        assert "theirs" not in visit.get(f"/export/{name}.csv").text.lower(), name


def test_the_database_hides_them_where_no_query_says_so(console: Any, foreign: tuple[Any, int]) -> None:
    walled = WalledStore(console.store, [console.acme.merchant_id])
    tables = [row[0] for row in console.rows(
        "SELECT c.relname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE n.nspname = 'hub' AND p.polname = 'merchant_wall' AND a.attname = 'merchant_id' ORDER BY 1"
    )]  # fmt: skip
    assert len(tables) > 40
    readable = 0
    with walled.read() as tx:
        for table in tables:
            if not tx.scalar(text(f"SELECT has_table_privilege('hub.{table}', 'SELECT')")):
                continue
            readable += 1
            found = tx.execute(text(f"SELECT DISTINCT merchant_id FROM hub.{table}")).scalars().all()
            assert set(found) <= {console.acme.merchant_id}, table
    assert readable > 40
    assert console.rows("SELECT count(DISTINCT merchant_id) FROM hub.orders") == [(2,)]


def test_every_table_that_names_its_merchant_has_a_wall(console: Any) -> None:
    without = console.rows(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('merchant_id', 'merchant')"
        " WHERE n.nspname IN ('hub', 'reports') AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_policy p"
        " WHERE p.polrelid = c.oid AND p.polname = 'merchant_wall') ORDER BY 1, 2"
    )
    assert without == []


def test_nothing_is_written_for_another_merchant_behind_the_wall(console: Any, foreign: tuple[Any, int]) -> None:
    walled = WalledStore(console.store, [console.acme.merchant_id])
    values = {"m": console.other.merchant_id}
    with pytest.raises(DBAPIError, match="row-level security"), walled.begin() as tx:
        tx.execute(text("INSERT INTO hub.skus (merchant_id, sku) VALUES (:m, 'SMUGGLED')"), values)
    with pytest.raises(DBAPIError, match="row-level security"), walled.begin() as tx:
        tx.execute(text("UPDATE hub.skus SET merchant_id = :m"), values)
    with walled.begin() as tx:
        assert tx.execute(text("UPDATE hub.connections SET state = 'paused' WHERE name = 'theirs'")).rowcount == 0
        assert tx.execute(text("DELETE FROM hub.secrets")).rowcount == 0
    assert console.rows("SELECT state FROM hub.connections WHERE name = 'theirs'") == [("active",)]
    assert console.rows("SELECT count(*) FROM hub.secrets") == [(1,)]


@pytest.mark.parametrize("table", ["users", "memberships", "web_sessions", "api_tokens", "oauth_states"])
def test_behind_the_wall_nobody_reads_who_may_come_in(console: Any, table: str) -> None:
    walled = WalledStore(console.store, [console.acme.merchant_id])
    with pytest.raises(DBAPIError, match="permission denied"), walled.read() as tx:
        tx.execute(text(f"SELECT * FROM hub.{table}"))


def test_the_wall_stands_aside_for_the_hub_itself_and_after_the_transaction(console: Any) -> None:
    with WalledStore(console.store, [console.acme.merchant_id]).read() as tx:
        assert tx.scalar(text("SELECT current_user")) == WEB_ROLE
    with console.store.read() as tx:
        assert tx.scalar(text("SELECT current_user")) != WEB_ROLE
        assert tx.scalar(text("SELECT count(*) FROM hub.merchants")) == 2


def test_nothing_is_served_without_the_wall(console: Any) -> None:
    require_web_role(console.store)
    console.run("DROP POLICY merchant_wall ON hub.orders")
    console.run("DROP POLICY everyone ON hub.orders")
    with pytest.raises(Misconfigured, match="no wall"):
        require_web_role(console.store)
    answer = console.open().get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "down")
    with console.store.begin() as tx:
        assert ensure_web_role(tx).is_ready
    require_web_role(console.store)
    assert console.open().get("/health").json() == {"status": "ok", "problems": []}


def test_a_user_who_may_not_make_roles_is_told_what_to_run(console: Any) -> None:
    console.run("DO $$ BEGIN CREATE ROLE oms_hub_powerless NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with console.store.begin() as tx:
        tx.execute(text("SET LOCAL ROLE oms_hub_powerless"))
        told = ensure_web_role(tx)
    assert (told.is_ready, "CREATE ROLE oms_hub_web" in told.reason) == (False, True)


@pytest.mark.parametrize(
    "statement", ["UPDATE hub.audit_log SET actor = 'nobody'", "DELETE FROM hub.audit_log", "TRUNCATE hub.audit_log"]
)
def test_the_audit_log_cannot_be_changed(console: Any, statement: str) -> None:
    console.signed_in()
    with pytest.raises(IntegrityError, match="append-only"):
        console.run(statement)
    with pytest.raises(DBAPIError), WalledStore(console.store, [console.acme.merchant_id]).begin() as tx:
        tx.execute(text(statement))
    assert console.rows("SELECT actor, action, address FROM hub.audit_log") == [
        ("owner@acme.example", "session.start", "testclient")
    ]


OPERATOR_POSTS = ["/connections/ours/test", "/connections/ours/state/pause", "/connections/ours/run/read",
                  "/exceptions/{exception}/dismiss", "/listings/link"]  # fmt: skip
OWNER_POSTS = ["/connections/ours/push", "/connections/ours/disconnect", "/connections/ours/places", "/people/add",
               "/people/tokens", "/connect/shopify/try", "/connect/shopify/approve"]  # fmt: skip


def test_viewers_only_look_and_operators_do_not_own(console: Any) -> None:
    own = console.connect("ours")
    number = console.add_exception(own, "bad_payload", "1")
    viewer, operator = console.signed_in("viewer"), console.signed_in("operator")
    for path in (*OPERATOR_POSTS, *OWNER_POSTS):
        assert viewer.submit_form(path.format(exception=number), {}, status=403)
    for path in OWNER_POSTS:
        assert operator.submit_form(path, {}, status=403)
    for path in ("/people", "/audit", "/connect", "/connections/ours/reconnect"):
        assert "Your role does not allow it" in operator.see(path, status=403)
    assert "Dismiss" not in viewer.see(f"/exceptions/{number}")
    assert "Disconnect" not in operator.see("/connections/ours")
    assert console.rows("SELECT state, is_push_enabled FROM hub.connections") == [("active", False)]
    operator.submit("/connections/ours/state/pause")
    assert console.rows("SELECT state FROM hub.connections") == [("paused",)]
    operator.submit("/connections/ours/state/resume")
    operator.submit("/connections/ours/state/nonsense", status=404)
    assert console.rows("SELECT state FROM hub.connections") == [("active",)]


def test_owners_give_and_take_roles(console: Any) -> None:
    visit = console.signed_in()
    page = visit.submit("/people/add", email="New@Acme.example", role="operator", status=200).text
    password = page.split("only this once: <code>")[1].split("</code>")[0] if "once: <code>" in page else ""
    password = password or page.split("<code>")[1].split("</code>")[0]
    new = console.open()
    assert new.sign_in("new@acme.example", password).status_code == 303
    assert "acme" in new.see("/orders")
    visit.submit("/people/add", email="new@acme.example", role="viewer", status=400)
    visit.submit("/people/add", email="no address", role="viewer", status=400)
    known = visit.submit("/people/add", email="stranger@acme.example", role="viewer", status=200).text
    assert "only this once" not in known
    number = console.rows("SELECT user_id FROM hub.users WHERE email = 'new@acme.example'")[0][0]
    visit.submit(f"/people/{number}/role", role="viewer")
    assert new.submit_form("/connections/x/test", {}, status=403)
    visit.submit(f"/people/{number}/role", role="")
    assert "No business is yours" in new.see("/")
    assert new.get("/orders").status_code == 403
    last = visit.submit(f"/people/{console.users['owner'].user_id}/role", role="viewer", status=400)
    assert "Nobody would own" in last.text
    with pytest.raises(Misconfigured), console.store.begin() as tx:
        remove_member(tx, console.users["owner"].user_id, console.acme.merchant_id)


def test_somebody_of_two_businesses_chooses_one(console: Any) -> None:
    with console.store.begin() as tx:
        set_role(tx, console.users["owner"].user_id, console.other.merchant_id, "viewer")
    visit = console.signed_in()
    assert "<h1>acme</h1>" in visit.see("/")
    visit.submit("/merchant", merchant=str(console.other.merchant_id))
    assert "<h1>other</h1>" in visit.see("/")
    assert visit.get("/audit").status_code == 403


def test_the_audit_log_pages_from_the_newest(console: Any) -> None:
    console.run(
        "INSERT INTO hub.audit_log (merchant_id, actor, action, detail) SELECT :m, 'a', 'n.' || n, '{\"x\": 1}'"
        " FROM generate_series(1, 120) n",
        m=console.acme.merchant_id,
    )
    with console.store.read() as tx:
        assert [each.action for each in list_audit(tx, console.acme.merchant_id, limit=2)] == ["n.120", "n.119"]
    visit = console.signed_in()
    first = visit.see("/audit")
    assert "n.120" in first
    assert "n.10<" not in first
    following = first.split('href="/audit?before=')[1].split('"')[0]
    assert "n.10<" in visit.see(f"/audit?before={following}")
    assert "n.120" in visit.see("/audit?before=-1")
