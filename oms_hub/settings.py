"""The hub's own settings, from the environment (`OMS_HUB_...`) or a `.env` file.

What belongs here: what the program needs before it has a store. Settings of a merchant's accounts stand in the store.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from oms_hub.errors import Misconfigured


class Settings(BaseSettings):
    """Where the hub keeps things. Every field is set by `OMS_HUB_<FIELD>`.

    Attributes:
        home: folder of the embedded database, the key file and Dagster's files.
        database_url: any PostgreSQL 14 or newer; None means the embedded one under `home`.
        master_key: key that secrets are encrypted with; None means the key file under `home`.
        notify: where failures are told: `log`, an https webhook, or smtp(s)://...; None means the log.
    """

    model_config = SettingsConfigDict(
        env_prefix="OMS_HUB_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    home: Path = Field(default=Path(".oms-hub"))
    database_url: SecretStr | None = None
    master_key: SecretStr | None = None
    notify: SecretStr | None = None


def load_settings() -> Settings:
    """Return the settings, read anew.

    Raises:
        Misconfigured: `.env` is not text.
    """
    try:
        settings = Settings()
    except UnicodeDecodeError:
        raise Misconfigured("The file .env is not UTF-8 text", remedy="Save .env as UTF-8") from None
    return settings.model_copy(update={name: None for name in _blank_secrets(settings)})


def _blank_secrets(settings: Settings) -> tuple[str, ...]:
    """Return the names of secrets that are set to nothing, which means the same as not set."""
    return tuple(
        name
        for name in ("database_url", "master_key", "notify")
        if (value := getattr(settings, name)) is not None and not value.get_secret_value().strip()
    )
