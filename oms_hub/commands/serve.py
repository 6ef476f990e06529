"""`oms-hub serve`: the merchant console."""

from __future__ import annotations

import typer

from oms_hub.commands.context import opened_hub
from oms_hub.commands.output import say
from oms_hub.errors import Misconfigured
from oms_hub.settings import load_settings
from oms_hub.store.users import has_users


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("serve")(serve)


def serve(
    port: int = typer.Option(8750, min=1, max=65535, help="Port to listen on."),
    host: str = typer.Option("127.0.0.1", help="Address to listen on; a proxy with https stands before any other."),
    public_url: str = typer.Option("", help="The address that people use, such as https://hub.shop.example."),
    practice: bool = typer.Option(False, "--practice", help="Allow shops on this machine: practice shops."),
) -> None:
    """Serve the merchant console until Ctrl-C."""
    address = (public_url or f"http://{host}:{port}").rstrip("/")
    if not address.startswith("https://") and host not in {"127.0.0.1", "localhost", "::1"}:
        raise Misconfigured(
            f"The console would be plain http on {host}, where passwords can be read on the way",
            remedy="Put a proxy with https before it, and give its address: --public-url https://HOST",
        )
    import uvicorn  # noqa: PLC0415 (only this command needs it)

    from oms_hub.store.row_security import require_web_role  # noqa: PLC0415
    from oms_hub.web.app import create_app  # noqa: PLC0415
    from oms_hub.web.options import WebOptions  # noqa: PLC0415

    settings = load_settings()
    options = WebOptions(public_url=address, feeds=settings.home / "feeds", allows_loopback=practice)
    with opened_hub() as hub:
        require_web_role(hub.store)
        with hub.store.read() as tx:
            is_empty = not has_users(tx)
        say(f"The console is at {address}. Ctrl-C stops it.")
        if is_empty:
            say("Nobody can sign in yet. Add the first owner: oms-hub users add EMAIL --merchant NAME --role owner")
        uvicorn.run(
            create_app(hub, options), host=host, port=port, log_level="warning", server_header=False,
            proxy_headers=bool(public_url), h11_max_incomplete_event_size=64 * 1024, timeout_keep_alive=15,
        )  # fmt: skip
