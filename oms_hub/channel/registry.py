"""Which channels there are: the entry points of the group `oms_hub.channels`.

What belongs here: finding and loading `CHANNEL` objects. Not here: any channel's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points

from oms_hub.channel.contract import Channel
from oms_hub.errors import Misconfigured

ENTRY_POINT_GROUP = "oms_hub.channels"


class ChannelRegistry(Mapping[str, Channel]):
    """Channels by name, each loaded when it is first asked for, so that a broken one stops only itself.

    `registry[name]` raises Misconfigured, not KeyError: it names the known channels, or the entry point that is broken.
    """

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points: dict[str, EntryPoint] = {}
        self._loaded: dict[str, Channel] = {}
        for point in points:
            other = self._points.setdefault(point.name, point)
            if other.value != point.value:
                raise Misconfigured(
                    f"two packages offer the channel {point.name}: {other.value} and {point.value}",
                    remedy="Uninstall one of them",
                )

    def __getitem__(self, name: str) -> Channel:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._points))

    def __len__(self) -> int:
        return len(self._points)

    def _load(self, name: str) -> Channel:
        point = self._points.get(name)
        if point is None:
            known = ", ".join(self) or "none"
            raise Misconfigured(f"unknown channel {name}", remedy=f"Known channels: {known}")
        try:
            found = point.load()
        except Exception as error:
            raise Misconfigured(
                f"the channel {name} cannot be loaded from {point.value}: {type(error).__name__}: {error}",
                remedy="Install its package again",
            ) from error
        if not isinstance(found, Channel) or found.name != name:
            raise Misconfigured(
                f"the entry point {name} = {point.value} is no Channel of that name",
                remedy="Bind CHANNEL = Channel(name=...) with the name of the entry point",
            )
        return found


def load_channels() -> ChannelRegistry:
    """Return the channels of all installed connectors by name."""
    return ChannelRegistry(entry_points(group=ENTRY_POINT_GROUP))
