"""Who asks, for which business, and whether they may.

What belongs here: the dependencies that routes state their needs with. Not here: signing in (`sign_in`), the wall in
the database (`oms_hub.store.row_security`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from oms_hub.store.audit import write_audit
from oms_hub.store.engine import Transaction
from oms_hub.store.sessions import look_at_merchant, use_session
from oms_hub.store.users import Membership, Role, User, get_user, memberships_of
from oms_hub.sync.hub import Hub
from oms_hub.web.csrf import csrf_of, session_cookie
from oms_hub.web.options import Site, hash_of, site_of

_RANK: Mapping[Role, int] = {"viewer": 0, "operator": 1, "owner": 2}


class SignInNeeded(Exception):
    """Nobody is signed in: the visitor is sent to the sign-in page."""


class NotAllowed(Exception):
    """Somebody is signed in and may not do this."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in, and the business that they look at.

    Attributes:
        csrf: what their forms must carry.
        address: where the request came from, for the audit log.
    """

    site: Site
    user: User
    memberships: Sequence[Membership]
    membership: Membership | None
    session_token: str
    csrf: str
    address: str

    @property
    def merchant(self) -> Membership:
        """Return the business; raises NotAllowed where the person works for none."""
        if self.membership is None:
            raise NotAllowed
        return self.membership

    @property
    def merchant_id(self) -> int:
        """Return the business's number."""
        return self.merchant.merchant_id

    @property
    def hub(self) -> Hub:
        """Return the hub as this business sees it."""
        return self.site.behind_wall(self.merchant_id)

    def may(self, role: Role) -> bool:
        """Return whether the person has at least this role."""
        return self.membership is not None and _RANK[self.membership.role] >= _RANK[role]

    def audit(self, tx: Transaction, action: str, subject: str = "", **detail: object) -> None:
        """Write down what this person does now, in the transaction that does it."""
        merchant_id = None if self.membership is None else self.membership.merchant_id
        write_audit(
            tx, merchant_id=merchant_id, actor=self.user.email, action=action, subject=subject, detail=detail,
            address=self.address,
        )  # fmt: skip


def address_of(request: Request) -> str:
    """Return the network address that a request came from."""
    return request.client.host if request.client else ""


def visitor_or_none(request: Request) -> Visitor | None:
    """Return who is signed in, None for nobody."""
    site = site_of(request)
    token = request.cookies.get(session_cookie(site), "")
    if not token:
        return None
    now, options = site.hub.clock(), site.options
    with site.hub.store.begin() as tx:
        session = use_session(
            tx, hash_of(token), at=now, seen_after=now - options.idle, created_after=now - options.longest
        )
        if session is None:
            return None
        user = get_user(tx, session.user_id)
        memberships = memberships_of(tx, session.user_id)
        chosen = next((each for each in memberships if each.merchant_id == session.merchant_id), None)
        if chosen is None and memberships:
            chosen = memberships[0]
            look_at_merchant(tx, hash_of(token), chosen.merchant_id)
    return Visitor(site, user, memberships, chosen, token, csrf_of(token), address_of(request))


def signed_in(request: Request) -> Visitor:
    """Return who is signed in; raises SignInNeeded."""
    visitor = visitor_or_none(request)
    if visitor is None:
        raise SignInNeeded
    return visitor


def needs(role: Role) -> Callable[[Visitor], Visitor]:
    """Return a dependency that lets people with at least this role pass; raises NotAllowed for the others."""

    def allowed(visitor: Annotated[Visitor, Depends(signed_in)]) -> Visitor:
        if not visitor.may(role):
            raise NotAllowed
        return visitor

    return allowed


Viewer = Annotated[Visitor, Depends(needs("viewer"))]
Operator = Annotated[Visitor, Depends(needs("operator"))]
Owner = Annotated[Visitor, Depends(needs("owner"))]
Anyone = Annotated[Visitor, Depends(signed_in)]
