"""Which channels there are, and what a broken one costs."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from oms_hub.channel.registry import ENTRY_POINT_GROUP, ChannelRegistry, load_channels
from oms_hub.errors import Misconfigured
from oms_hub.testing.fake_channel import fake_channel

FAKE = fake_channel()
NOT_A_CHANNEL = "something"


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, ENTRY_POINT_GROUP)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> ChannelRegistry:
    import sys
    import types

    module = types.ModuleType("connector_for_registry_test")
    module.FAKE, module.NONE = FAKE, NOT_A_CHANNEL
    monkeypatch.setitem(sys.modules, "connector_for_registry_test", module)
    return ChannelRegistry(
        [
            point("fake", "connector_for_registry_test:FAKE"),
            point("absent", "no_such_package:CHANNEL"),
            point("odd", "connector_for_registry_test:NONE"),
            point("misnamed", "connector_for_registry_test:FAKE"),
        ]
    )


def test_a_channel_is_found_by_name_and_loaded_once(registry):
    assert registry["fake"] is FAKE
    assert registry["fake"] is FAKE
    assert ("fake" in registry, "nope" in registry, len(registry)) == (True, False, 4)


def test_an_unknown_channel_lists_the_known(registry):
    with pytest.raises(Misconfigured, match="unknown channel etzy") as caught:
        registry["etzy"]
    assert caught.value.remedy == "Known channels: absent, fake, misnamed, odd"
    with pytest.raises(Misconfigured) as caught:
        ChannelRegistry([])["x"]
    assert caught.value.remedy == "Known channels: none"


def test_a_broken_entry_point_stops_only_itself_and_says_which(registry):
    with pytest.raises(Misconfigured, match="the channel absent cannot be loaded from no_such_package:CHANNEL"):
        registry["absent"]
    for name in ("odd", "misnamed"):
        with pytest.raises(Misconfigured, match=f"the entry point {name} = connector_for_registry_test"):
            registry[name]
    assert registry["fake"] is FAKE


def test_two_packages_may_not_offer_the_same_channel():
    with pytest.raises(Misconfigured, match="two packages offer the channel a: x:C and y:C"):
        ChannelRegistry([point("a", "x:C"), point("a", "y:C")])
    assert len(ChannelRegistry([point("a", "x:C"), point("a", "x:C")])) == 1


def test_installed_channels_are_those_of_the_entry_point_group():
    assert isinstance(load_channels(), ChannelRegistry)
