"""Settings come from the environment and `.env`, and are never repeated in an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from oms_hub.errors import Misconfigured
from oms_hub.settings import load_settings


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder without our variables."""
    for name in ("HOME", "DATABASE_URL", "MASTER_KEY"):
        monkeypatch.delenv(f"OMS_HUB_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_anything_the_home_is_beside_us() -> None:
    settings = load_settings()
    assert settings.home == Path(".oms-hub")
    assert settings.database_url is None
    assert settings.master_key is None


def test_the_environment_goes_before_the_file(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / ".env").write_text("OMS_HUB_HOME=from-file\nOMS_HUB_MASTER_KEY=k\nOTHER=1\n", encoding="utf-8")
    monkeypatch.setenv("OMS_HUB_HOME", "from-environment")
    settings = load_settings()
    assert settings.home == Path("from-environment")
    assert settings.master_key is not None
    assert settings.master_key.get_secret_value() == "k"
    assert "k'" not in repr(settings)


@pytest.mark.parametrize("value", ["", "  "])
def test_a_secret_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OMS_HUB_DATABASE_URL", value)
    monkeypatch.setenv("OMS_HUB_MASTER_KEY", value)
    settings = load_settings()
    assert settings.database_url is None
    assert settings.master_key is None


def test_a_file_that_is_no_text_is_named(own_folder: Path) -> None:
    (own_folder / ".env").write_bytes(b"OMS_HUB_HOME=\xff\xfe")
    with pytest.raises(Misconfigured) as refused:
        load_settings()
    assert refused.value.one_line() == "The file .env is not UTF-8 text. Save .env as UTF-8"
