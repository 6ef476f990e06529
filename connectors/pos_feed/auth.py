"""What opens the file system of a feed: its options, kept as one secret.

What belongs here: reading that secret. Not here: paths and files (`files`).
"""

from __future__ import annotations

import json
from typing import Any

from oms_hub.channel.contract import ChannelSession, Setting
from oms_hub.errors import Misconfigured

SECRETS = (
    Setting(
        "storage_options",
        "JSON object handed to the fsspec file system, such as "
        '{"username": "...", "password": "..."} for sftp or {"key": "...", "secret": "..."} for s3',
        is_secret=True,
    ),
)


def storage_options(session: ChannelSession) -> dict[str, Any]:
    """Return the options of the connection's file system, empty where it needs none.

    Raises:
        Misconfigured: the secret is no JSON object; its text is never shown.
    """
    text = session.secrets.get("storage_options")
    if not text:
        return {}
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise Misconfigured(
            f"secret storage_options of {session.connection.name} is not a JSON object",
            remedy='Give an object such as {"username": "...", "password": "..."}',
        )
    return {str(key): value for key, value in options.items()}
