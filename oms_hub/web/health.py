"""`/health`: whether the console can do its work, for whoever watches it; no secrets, no names."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from oms_hub.errors import HubError
from oms_hub.store.revisions import read_state
from oms_hub.store.row_security import require_web_role
from oms_hub.web.options import site_of

router = APIRouter()


class Health(BaseModel):
    """Whether all is well; `problems` says what is not, one line each."""

    status: str
    problems: list[str]


@router.get("/health", response_model=Health, responses={503: {"model": Health}}, tags=["health"])
def health(request: Request) -> JSONResponse:
    """Return 200 where the database answers at this program's revision and its wall stands, else 503."""
    store = site_of(request).hub.store
    problems: list[str] = []
    try:
        with store.read() as tx:
            state = read_state(tx)
        if state != "current":
            problems.append(f"the database is {state}: run oms-hub migrate")
        require_web_role(store)
    except HubError as error:
        problems.append(f"{type(error).__name__}: the database is not usable")
    body = Health(status="down" if problems else "ok", problems=problems)
    return JSONResponse(body.model_dump(), status_code=503 if problems else 200)
