"""Options of ``open`` as pairs of strings, the one door of every language's face."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias, TypedDict

from ._durations import Duration, millis

OnShort: TypeAlias = Literal["degrade", "fail", "wait"]
"""What an enqueue does when fewer members than wanted can take a copy in time."""


class Options(TypedDict, total=False):
    """Options of ``open``. None of them: one member in memory without a socket."""

    cluster: str
    """The cluster's name; "default"."""
    name: str
    """This member's name: the same name takes the same place again after a restart."""
    listen: str
    """Where to listen, "127.0.0.1:0"; or "none"."""
    seeds: Iterable[str]
    """Addresses that are dialled for ever, "host:port" each."""
    copies: int
    """Copies of a message by default; as many as there are members, up to 2."""
    on_short: OnShort
    """What to do with fewer copies; "degrade"."""
    enqueue_timeout: Duration
    """When "fewer" is decided; 5 s."""
    lease: Duration
    """How long a consumer has a message by default; 30 s."""
    takeover_after: Duration
    """An owner unreachable for this long loses its messages to a holder; 10 s."""
    memory_bytes_max: int
    """Budget for held messages; 1 GiB."""
    body_bytes_max: int
    """Largest body; 512 KiB."""


_TIMES = ("enqueue_timeout", "lease", "takeover_after")


def pairs(options: Options) -> list[tuple[str, str]]:
    """The core's pairs. Unknown names pass: the core refuses them and names the nearest known one."""
    return [_pair(key, value) for key, value in options.items() if value is not None]


def _pair(key: str, value: object) -> tuple[str, str]:
    if key in _TIMES:
        return f"{key}_ms", str(millis(value))  # type: ignore[arg-type]  # millis checks it
    if key == "seeds" and not isinstance(value, str):
        if not isinstance(value, Iterable):
            raise TypeError(f"seeds are addresses, not {type(value).__name__}")
        return key, ",".join(_text("seeds", seed) for seed in value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"option {key} is text or a whole number, not {type(value).__name__}")
    return key, str(value)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{key} are str, not {type(value).__name__}")
    return value
