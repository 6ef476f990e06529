"""Settings that a person typed into the console: which are asked for, and which must not be taken.

What belongs here: forms to settings, addresses and paths that would reach too far. Not here: what a channel itself
makes of its settings (`Channel.check_settings`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from oms_hub.channel.contract import Channel, Setting
from oms_hub.channel.public_hosts import public_address
from oms_hub.errors import Misconfigured
from oms_hub.web.csrf import Form
from oms_hub.web.language import Words
from oms_hub.web.options import WebOptions

PREFIX = "set."
_ONLY_BY_COMMAND = "base_url"
"""Another address for every request: asked for only where practice shops are allowed."""
_REMOTE = frozenset({"sftp", "ssh", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl"})
_HAS_HOST = frozenset({"sftp", "ssh"})
_NAMES_HOST = re.compile("host|endpoint|url|server|domain|proxy|address", re.IGNORECASE)
_REDIRECTS = frozenset({"fo", "target_protocol", "target_options", "protocol", "fs", "mapper", "sock"})
_PART = re.compile(r"[\w \-.,+@()*?\[\]]{1,200}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One field of a channel's form."""

    setting: Setting
    label: str
    is_first: bool


def asked_settings(channel: Channel, words: Words, options: WebOptions) -> Sequence[Asked]:
    """Return the fields that a channel's form has, the first ones first."""
    labels = channel.guide.text(words.language).labels if channel.guide else {}
    first = channel.guide.first if channel.guide else tuple(each.name for each in channel.settings if each.is_required)
    shown = [each for each in channel.settings if each.name != _ONLY_BY_COMMAND or options.allows_loopback]
    fields = [Asked(each, labels.get(each.name, each.name.replace("_", " ")), each.name in first) for each in shown]
    return sorted(fields, key=lambda each: first.index(each.setting.name) if each.is_first else len(first))


def split_form(channel: Channel, form: Form, options: WebOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return (settings, secrets) that a form gives; empty fields are left out.

    Raises:
        Misconfigured: a setting that the channel does not have, or that only the command line may set.
    """
    known = {each.name: each for each in channel.settings}
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for name, value in form.items():
        if not name.startswith(PREFIX) or not value:
            continue
        setting = known.get(name.removeprefix(PREFIX))
        if setting is None or (setting.name == _ONLY_BY_COMMAND and not options.allows_loopback):
            raise Misconfigured(f"{channel.title} has no setting {name.removeprefix(PREFIX)[:40]}")
        _check_form(setting, value)
        (secrets if setting.is_secret else settings)[setting.name] = value
    return settings, secrets


def _check_form(setting: Setting, value: str) -> None:
    if setting.choices and value not in setting.choices:
        raise Misconfigured(f"{setting.name} is one of: {', '.join(setting.choices)}")
    if setting.pattern and not re.fullmatch(setting.pattern, value):
        raise Misconfigured(f"{setting.name} has not the right form", remedy=setting.description)


def check_reach(
    channel: Channel, settings: Mapping[str, str], secrets: Mapping[str, str], *, options: WebOptions
) -> None:
    """Refuse addresses that are not public, wherever in the settings they stand.

    Raises:
        Misconfigured: names the setting.
    """
    path_setting = channel.file_feed.path_setting if channel.file_feed else ""
    for name, value in settings.items():
        if "://" in value and name != path_setting:
            _check_address(value, name, options)
    for name, value in secrets.items():
        for key, text in _texts(name, value):
            if key in _REDIRECTS:
                raise Misconfigured(f"{name} must not name {key}")
            if "://" in text:
                _check_address(text, name, options)
            elif key != name and _NAMES_HOST.search(key):
                public_address(text.partition(":")[0], allows_loopback=options.allows_loopback)


def _texts(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of all that stands in a secret: the secret itself, or each part of a JSON one."""
    try:
        read: Any = json.loads(value)
    except ValueError:
        read = value
    waiting: list[tuple[str, Any]] = [(name, read)]
    while waiting:
        key, found = waiting.pop()
        if isinstance(found, Mapping):
            waiting.extend((str(inner), each) for inner, each in found.items())
        elif isinstance(found, list):
            waiting.extend((key, each) for each in found)
        else:
            yield key, str(found)


def _check_address(value: str, name: str, options: WebOptions) -> None:
    try:
        host = urlsplit(value.strip()).hostname
    except ValueError:
        host = None
    if not host:
        raise Misconfigured(f"{name} is not an address", remedy=f"Set {name} to https://HOST")
    public_address(host, allows_loopback=options.allows_loopback)


def feed_folder(options: WebOptions, merchant_id: int) -> Path:
    """Return the folder of a merchant's own files on this machine."""
    return options.feeds.absolute() / str(merchant_id)


def feed_path(given: str, *, options: WebOptions, merchant_id: int) -> str:
    """Return where a feed's files are, from what a person typed.

    Args:
        given: a name within the merchant's folder, or a place elsewhere: `sftp://`, `s3://` and the like.
        options: names the folder.
        merchant_id: whose folder.

    Raises:
        Misconfigured: the path leaves the folder, or names a protocol that reads this machine.
    """
    if "::" in given or "://" in given:
        protocol = given.partition("://")[0]
        if "::" in given or protocol not in _REMOTE:
            raise Misconfigured(
                "That path is not allowed here", remedy=f"Give a file's name, or one of: {', '.join(sorted(_REMOTE))}"
            )
        if protocol in _HAS_HOST:
            _check_address(given, "path", options)
        return given
    folder = feed_folder(options, merchant_id)
    relative = given.removeprefix(f"{folder}/") if given.startswith("/") else given
    parts = relative.split("/")
    if not all(_PART.fullmatch(part) and part not in {".", ".."} for part in parts):
        raise Misconfigured("That path is not allowed here", remedy="Give a name within your own folder")
    wanted = folder.joinpath(*parts)
    fixed = folder.joinpath(*_fixed(parts))
    if not fixed.resolve().is_relative_to(folder.resolve()):
        raise Misconfigured("That path is not allowed here", remedy="Give a name within your own folder")
    return str(wanted)


def _fixed(parts: Sequence[str]) -> Iterator[str]:
    """Yield the parts before the first one with a sign that stands for many names."""
    for part in parts:
        if any(sign in part for sign in "*?["):
            return
        yield part
