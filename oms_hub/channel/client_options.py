"""How a connector wants its HTTP client: rules of the channel, time-outs, bounds.

What belongs here: settings of the client, all immutable. Not here: the client (`http`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from oms_hub.channel.rate_limit import Gate
from oms_hub.errors import HubError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with an error status, for a connector's own reading."""

    status: int
    code: str
    parsed: Any
    """Its JSON, None where it was none."""
    headers: httpx.Headers


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What is special about a channel's answers.

    Attributes:
        interpret: called with the JSON and headers of each good answer; raises `RetryLater` to have the call tried
            again after `after_seconds` (the request was not carried out), or any other error of the hub to end it.
        explain: called with each 4xx answer; returns the error to raise, or None for the usual reading. A
            `RetryLater` is tried again like any passing trouble.
    """

    interpret: Callable[[Any, httpx.Headers], None] | None = None
    explain: Callable[[Refusal], HubError | None] | None = None


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How long and how often a client tries.

    Attributes:
        tries: requests in all before `RetryLater`.
        wait_seconds: the most that all waits of one call may add up to.
        first_wait_seconds: the first back-off; doubles each time, half of it by chance.
        longest_wait_seconds: the longest single back-off.
        connect_seconds: time-out of connecting.
        read_seconds: time-out of each read.
        answer_seconds: time-out of a whole answer, against servers that drip.
        body_bytes: the largest answer that is read.
    """

    tries: int = 6
    wait_seconds: float = 300.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    answer_seconds: float = 300.0
    body_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a connector wants its client.

    Attributes:
        auth: adds credentials to each request; may refresh tokens.
        headers: sent with each request.
        rules: how this channel's answers are to be understood.
        gate: paces and bounds the requests.
        limits: time-outs and bounds.
        chance: a random fraction, for the jitter of waits.
    """

    auth: httpx.Auth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    rules: ChannelRules = field(default_factory=ChannelRules)
    gate: Gate | None = None
    limits: ClientLimits = field(default_factory=ClientLimits)
    chance: Callable[[], float] = random.random
