"""What a queue is told: settings as keywords, and as the pairs of text that the core takes."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from ._durations import Duration, millis
from ._options import OnShort

Overflow: TypeAlias = Literal["refuse", "drop_oldest"]
"""What a queue at its maximum does: it refuses what comes (201), or its oldest message goes, as a dead letter."""

Direction: TypeAlias = Literal["in", "out", "both"]
"""Which way a queue is paused: for producers, for consumers, or for both."""


class Settings(TypedDict, total=False):
    """What holds in a queue where a message or a call does not say; None unsets one."""

    copies: int | None
    """Copies of a message."""
    on_short: OnShort | None
    """What to do with fewer copies."""
    enqueue_timeout: Duration | None
    """When "fewer" is decided."""
    lease: Duration | None
    """How long a consumer has a message."""
    max_attempts: int | None
    """Given out this often, a message is a dead letter."""
    ttl: Duration | None
    """How long a message may wait: then it expires."""
    backoff: Duration | None
    """The pause after a first nack without a delay; it doubles with each attempt."""
    backoff_max: Duration | None
    """The longest of these pauses."""
    dead_letters: str | None
    """The queue of its dead letters; "<queue>.dead"."""
    messages_max: int | None
    """How many messages it may have in the cluster, or each of its groups."""
    bytes_max: int | None
    """How many bytes their bodies may have together."""
    overflow: Overflow | None
    """What it does at its maximum; "refuse"."""
    takeover_after: Duration | None
    """How long an owner may be out of reach before a holder of a copy takes over."""
    key_concurrency: int | None
    """How many messages of one key are given out at a time, up to 1,000; 1, which is in order."""
    paused: Literal["none", "in", "out", "both"] | None
    """As ``pause`` and ``resume`` set it."""


_TIMES = {"enqueue_timeout": "enqueue_timeout_ms", "lease": "lease_ms", "ttl": "ttl_ms", "backoff": "backoff_ms", "backoff_max": "backoff_ms_max", "takeover_after": "takeover_after_ms"}
_TIME_OF = {key: name for name, key in _TIMES.items()}
_NUMBERS = ("copies", "max_attempts", "messages_max", "bytes_max", "key_concurrency")


def settings_pairs(settings: Settings) -> list[tuple[str, str]]:
    """The core's pairs. Unknown names pass: the core refuses them and names the nearest known one."""
    return [_pair(key, value) for key, value in settings.items()]


def _pair(key: str, value: object) -> tuple[str, str]:
    name = _TIMES.get(key, key)
    if value is None:
        return name, ""
    if key in _TIMES:
        return name, str(millis(value))  # type: ignore[arg-type]  # millis checks it
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"setting {key} is text or a whole number, not {type(value).__name__}")
    if value == "":
        raise ValueError(f"setting {key} is empty; None unsets it")
    return name, str(value)


def settings_of(pairs: list[tuple[str, str]]) -> dict[str, int | float | str]:
    """Settings by the names of the keywords: numbers as such, times in seconds."""
    return dict(_named(key, value) for key, value in pairs)


def _named(key: str, value: str) -> tuple[str, int | float | str]:
    if key in _TIME_OF:
        return _TIME_OF[key], int(value) / 1000
    return key, int(value) if key in _NUMBERS else value
