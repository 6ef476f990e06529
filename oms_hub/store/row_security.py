"""The second wall between merchants: the console's transactions see only the rows of the merchants they name.

What belongs here: the role `oms_hub_web`, its grants, one policy per table, and a store whose transactions run under
it. Not here: who may see which merchant (`oms_hub.web.identity`). See docs/adr/0019.

The policies speak of nobody else: every other database user sees what it saw before, a member of the role too. They are
put on by each migration run, for every table that names its merchant, so that a new table cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from oms_hub.errors import Misconfigured
from oms_hub.store.engine import Store, Transaction

WEB_ROLE = "oms_hub_web"
SETTING = "oms_hub.merchant_ids"
OUTSIDE = ("users", "memberships", "sign_in_failures", "web_sessions", "api_tokens", "oauth_states")
"""Tables of `hub` that the console reads before it knows who asks, never under the role."""
APPEND_ONLY = ("audit_log",)

_MAKE_ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{WEB_ROLE}') THEN
        CREATE ROLE {WEB_ROLE} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this server was migrated at the same moment: roles belong to the whole server
END $$
"""

_OURS = f"current_user <> '{WEB_ROLE}' OR "
_IDS = f"CAST((SELECT string_to_array(current_setting('{SETTING}', true), ',')) AS integer[])"
_BY_ID = f"{_OURS}merchant_id = ANY ({_IDS})"
_BY_NAME = f"{_OURS}merchant IN (SELECT name FROM hub.merchants WHERE merchant_id = ANY ({_IDS}))"

_TABLES = """
SELECT n.nspname, c.relname, bool_or(a.attname = 'merchant_id'), bool_or(a.attname = 'merchant'),
       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'merchant_wall')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname IN ('hub', 'reports') AND c.relkind IN ('r', 'p')
GROUP BY n.nspname, c.relname, c.oid ORDER BY 1, 2
"""

_IS_READY = f"""
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '{WEB_ROLE}')
   AND pg_has_role(current_user, (SELECT oid FROM pg_roles WHERE rolname = '{WEB_ROLE}'), 'MEMBER')
   AND EXISTS (SELECT FROM pg_policies WHERE policyname = 'merchant_wall' AND tablename = 'orders')
"""

_NOT_ALLOWED = "42501"
_REMEDY = f"Have an administrator run: CREATE ROLE {WEB_ROLE} NOLOGIN; GRANT {WEB_ROLE} TO the hub's user; then migrate"


@dataclass(frozen=True, slots=True)
class WebRole:
    """How it went: `is_ready`, else `reason` says what the database's administrator has to run."""

    is_ready: bool
    reason: str = ""


def ensure_web_role(transaction: Connection) -> WebRole:
    """Make the role, its grants and a policy on every table; the transaction goes on unharmed if it may not."""
    savepoint = transaction.begin_nested()
    try:
        transaction.execute(text(_MAKE_ROLE))
        if not transaction.scalar(text(f"SELECT pg_has_role(current_user, '{WEB_ROLE}', 'MEMBER')")):
            transaction.execute(text(f"GRANT {WEB_ROLE} TO CURRENT_USER"))
        for schema, table, has_id, has_name, has_wall in transaction.execute(text(_TABLES)).all():
            if has_id or has_name:
                _wall_in(transaction, f"{schema}.{table}", schema, table, has_id=has_id, has_wall=has_wall)
        transaction.execute(text(f"GRANT USAGE ON SCHEMA hub, reports TO {WEB_ROLE}"))
    except DBAPIError as error:
        savepoint.rollback()
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        return WebRole(False, f"The console is not ready: the database user may not create roles. {_REMEDY}")
    savepoint.commit()
    return WebRole(True)


def _wall_in(tx: Connection, name: str, schema: str, table: str, *, has_id: bool, has_wall: bool) -> None:
    if not has_wall:
        rule = _BY_ID if has_id else _BY_NAME
        tx.execute(text(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"))
        tx.execute(text(f"CREATE POLICY everyone ON {name} USING (true) WITH CHECK (true)"))
        wall = f"AS RESTRICTIVE TO {WEB_ROLE} USING ({rule}) WITH CHECK ({rule})"
        tx.execute(text(f"CREATE POLICY merchant_wall ON {name} {wall}"))
    if schema == "hub" and table in OUTSIDE:
        return
    rights = "SELECT, INSERT, UPDATE, DELETE"
    if table in APPEND_ONLY:
        rights = "SELECT, INSERT"
    if schema == "reports" or table == "merchants":
        rights = "SELECT"
    tx.execute(text(f"GRANT {rights} ON {name} TO {WEB_ROLE}"))


def require_web_role(store: Store) -> None:
    """Raise Misconfigured where the wall does not stand, so that nothing is served without it."""
    with store.read() as tx:
        is_ready = bool(tx.execute(text(_IS_READY)).scalar())
    if not is_ready:
        raise Misconfigured(f"The database {store.place} has no wall between merchants", remedy=_REMEDY)


class WalledStore(Store):
    """The same database, seen by some merchants: whatever runs in its transactions finds only their rows."""

    def __init__(self, store: Store, merchant_ids: Sequence[int]) -> None:
        super().__init__(store._url, store._engine)
        self._merchant_ids = ",".join(str(int(merchant_id)) for merchant_id in merchant_ids)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Give a writing transaction behind the wall."""
        with super().begin() as tx:
            self._enter(tx)
            yield tx

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a read-only transaction behind the wall."""
        with super().read() as tx:
            self._enter(tx)
            yield tx

    def close(self) -> None:
        """Leave the pool open: it belongs to the store that this one was made of."""

    def _enter(self, tx: Transaction) -> None:
        tx.execute(
            text("SELECT set_config(:setting, :ids, true), set_config('role', :role, true)"),
            {"setting": SETTING, "ids": self._merchant_ids, "role": WEB_ROLE},
        )
