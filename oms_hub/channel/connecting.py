"""What a channel tells the console about connecting an account: a guide, an authorisation flow, a file feed's columns.

What belongs here: types that a connector binds in its `CHANNEL`; all are optional. Not here: pages (`oms_hub.web`), and
anything that does work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from oms_hub.channel.contract import ChannelSession


@dataclass(frozen=True, slots=True)
class GuideText:
    """A guide in one language.

    Attributes:
        needs: what is needed, one or two sentences.
        where: steps to find it, in order.
        use: what the hub will do with it, one thing each.
        labels: setting -> what its field is called; settings that are not named keep their own name.
    """

    needs: str
    where: tuple[str, ...]
    use: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConnectGuide:
    """How an account is connected, in plain words.

    Attributes:
        texts: language (en, es) -> text; English must be there.
        first: settings that are asked for at once; the others wait behind "more settings".
    """

    texts: Mapping[str, GuideText]
    first: tuple[str, ...]

    def text(self, language: str) -> GuideText:
        """Return the guide in a language, in English where it has none."""
        return self.texts.get(language, self.texts["en"])


@dataclass(frozen=True, slots=True)
class OAuthStart:
    """What an authorisation begins with.

    Attributes:
        settings: those that the flow needs. secrets: the same.
        redirect_url: where the channel sends the person back to.
        delivery_url: where a channel that delivers keys on its own way sends them.
        state: a one-time word that must come back unchanged.
        challenge: the PKCE challenge (S256) of the verifier that `OAuthReturn` has.
    """

    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    redirect_url: str
    delivery_url: str
    state: str = field(repr=False)
    challenge: str


@dataclass(frozen=True, slots=True)
class OAuthReturn:
    """What came back. The state was compared already; `delivered` is what came on the channel's own way."""

    parameters: Mapping[str, str] = field(repr=False)
    redirect_url: str
    verifier: str = field(repr=False)
    delivered: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """What the channel granted: secrets to store, and settings that it told beside them."""

    secrets: Mapping[str, str] = field(repr=False)
    settings: Mapping[str, str] = field(default_factory=dict)


Exchange: TypeAlias = "Callable[[ChannelSession, OAuthReturn], OAuthGrant]"
"""Turns what came back into secrets. Raises Refused where the person did not approve, NeedsReconnect where the channel
refuses the app, BadPayload where what came back is not genuine."""

ReadDelivery: TypeAlias = Callable[[bytes], tuple[str, Mapping[str, str]]]
"""Reads what a channel posts on its own way: (state, values). Raises BadPayload."""


@dataclass(frozen=True, slots=True)
class OAuthFlow:
    """A channel's own way of letting its owner approve the hub.

    Attributes:
        needs: settings and secrets that must be known before; they are asked for on the channel's page.
        authorize_url: where the owner is sent to.
        state_parameter: what the state is called when it comes back.
        read_delivery: for channels that post the keys to `delivery_url` instead of sending them with the owner.
    """

    needs: tuple[str, ...]
    authorize_url: Callable[[OAuthStart], str]
    exchange: Exchange
    state_parameter: str = "state"
    read_delivery: ReadDelivery | None = None


@dataclass(frozen=True, slots=True)
class FeedPreview:
    """The first rows of a feed's newest file, as text; the orders that they make, and what cannot be read."""

    file: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    orders: int = 0
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FileFeed:
    """A channel that reads files.

    Attributes:
        path_setting: the setting that says where the files are.
        mapping_setting: the setting that says, as a JSON object, which of our fields is which column.
        fields: our fields. required: those that must be there.
        preview: reads the newest file without taking it; raises as a pull would.
    """

    path_setting: str
    mapping_setting: str
    fields: tuple[str, ...]
    required: tuple[str, ...]
    preview: Callable[[ChannelSession], FeedPreview]
