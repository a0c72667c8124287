"""Options of ``open`` as pairs of strings, the one door of every language's face; and those of messages and looks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, TypedDict

from ._durations import Duration, When, epoch_millis, millis, millis_or_none

OnShort: TypeAlias = Literal["degrade", "fail", "wait"]
"""What an enqueue does when fewer members than wanted can take a copy in time."""

IfNoGroup: TypeAlias = Literal["hold", "drop", "refuse"]
"""What becomes of a message where its queue has no group."""

Discover: TypeAlias = Literal["local", "none"]
"""How members are looked for, beside seeds: among this user's processes on this machine, or not at all."""

Placement: TypeAlias = Literal["sticky", "shuffle_each"]
"""How the members that get copies are chosen: few sets of members at a time, or anew for each enqueue."""

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers of a message; pairs where a name may repeat. Their order is kept."""

Path: TypeAlias = str | os.PathLike[str]
"""Where a file or a directory is."""


class Options(TypedDict, total=False):
    """Options of ``open``. None of them: one member in memory without a socket."""

    cluster: str
    """The cluster's name; "default"."""
    name: str
    """This member's name: the same name takes the same place again after a restart."""
    listen: str
    """Where to listen, "127.0.0.1:0"; or "none"."""
    seeds: Iterable[str]
    """Addresses that are dialled for ever, "host:port" each; a name stands for all that it leads to."""
    advertise: str
    """What others are told to dial, "host:port", where that is not the address it listens at."""
    zone: str
    """What fails together with this member (a host, a rack, a data centre): copies go to other zones first."""
    discover: Discover
    """"local" when a cluster is named and neither seeds nor ``listen`` are given, else "none"."""
    data_dir: Path
    """A directory of this member's own: it is the same member again after a restart."""
    copies: int
    """Copies of a message by default; as many as there are members, up to 2."""
    placement: Placement
    """How the members that get copies are chosen; "sticky"."""
    on_short: OnShort
    """What to do with fewer copies; "degrade"."""
    enqueue_timeout: Duration
    """When "fewer" is decided; 5 s."""
    lease: Duration
    """How long a consumer has a message by default; 30 s."""
    max_attempts: int
    """Given out this often, a message is a dead letter: it goes on in the queue "<queue>.dead"; 16."""
    takeover_after: Duration
    """An owner unreachable for this long loses its messages to a holder; 10 s."""
    repair_after: Duration
    """A member unreachable for this long is no holder any more: its copies are made elsewhere; 60 s."""
    retire_after: Duration
    """A member without a name and a data directory, unreachable for this long, leaves the set of members."""
    memory_bytes_max: int
    """Budget for held messages; 1 GiB, or a quarter of what the control group allows if that is less.

    From 70 % of it on another member with room accepts what is new; an enqueue for which nobody has room answers 203.
    """
    body_bytes_max: int
    """Largest body; 512 KiB."""
    secret: str | Iterable[str]
    """What all members share, 128 bits at least: with it they talk over TLS and may be on other machines.

    Two or three while it is being changed; see ``Primer.rotate``.
    """
    tls_ca: Path
    """The authority that every member's certificate comes from (PEM); instead of a secret, or beside it."""
    tls_cert: Path
    """This member's certificate (PEM)."""
    tls_key: Path
    """Its key (PEM), which others must not be able to read."""


class Terms(TypedDict, total=False):
    """What a producer may ask for a message, beside its copies."""

    priority: int | None
    """0 (last) to 9 (first); 4."""
    delay: Duration | None
    """Given out only after so long; a year at most."""
    at: When | None
    """Given out only from then on; instead of ``delay``. A past date is now."""
    ttl: Duration | None
    """Not given out after so long: it expires."""
    max_attempts: int | None
    """Given out this often it is a dead letter, in the queue "<queue>.dead"; the owner's default."""
    at_most_once: bool
    """Finished when it is given out: one copy, never repeated, lost with its member."""
    if_no_group: IfNoGroup
    """Where the queue has no group: "hold" (it waits there), "drop" (the receipt says 0 copies), "refuse" (102)."""
    key: str | None
    """Messages of one key are given out in line, one at a time (``key_concurrency``): 1 to 255 bytes of UTF-8."""
    dedup: str | None
    """Within ``dedup_window`` messages with the same are one, and the receipt says so: 1 to 255 bytes of UTF-8.

    101 for more than one message, for ``call``, and with ``at_most_once``.
    """
    dedup_window: Duration | None
    """How long that is, from the first one on, a week at most; 5 minutes. 101 without ``dedup``.

    Another window is another key.
    """


State: TypeAlias = Literal["ready", "delayed", "leased"]
"""What a message is doing: anyone may have it, it waits for its time, somebody has it."""


class Browse(TypedDict, total=False):
    """What a look at a queue's messages asks for."""

    max: int
    """At most this many on a page, up to 1,000; 100."""
    after: str | None
    """The cursor of the page before; the oldest message."""
    group: str | None
    """Messages of that group; the queue's own. One that does not exist is not created."""
    states: Iterable[State]
    """Those in one of these states; all."""
    headers: Headers | None
    """Those that have all of these headers."""
    body_bytes_max: int
    """How much of each body comes along; 64 KiB."""
    timeout: Duration
    """How long to wait for the other members; 2 s."""


def looked(
    *,
    max: int = 100,
    after: str | None = None,
    group: str | None = None,
    states: Iterable[State] = (),
    headers: Headers | None = None,
    body_bytes_max: int = 65_536,
    timeout: Duration = "2s",
) -> tuple[int, str | None, str | None, list[str], Headers | None, int, int]:
    """A look's options as the native verb's arguments. Errors: TypeError, also for an unknown one; WrongCall (101)."""
    listed = texts(states, "states are text")
    return max, after, group, listed, headers, body_bytes_max, millis(timeout)


class Redrive(TypedDict, total=False):
    """Which messages go back, and where they go."""

    to: str | None
    """The queue that they go to; where each came from."""
    max: int
    """At most this many of all members together, up to 1,000,000; 10,000."""
    headers: Headers | None
    """Those that have all of these headers, such as ``primer-cause`` or ``primer-group``."""
    ids: Iterable[str]
    """These alone, up to 1,000, by the ids that a browse shows; all."""
    dry_run: bool
    """They are counted and stay where they are."""
    timeout: Duration
    """How long to wait for all members; 30 s."""


def redriving(
    *,
    to: str | None = None,
    max: int = 10_000,
    headers: Headers | None = None,
    ids: Iterable[str] = (),
    dry_run: bool = False,
    timeout: Duration = "30s",
) -> tuple[str | None, int, Headers | None, list[str], bool, int]:
    """A redrive's options as the native verb's arguments. Errors: as ``looked``."""
    return to, max, headers, texts(ids, "ids are text"), dry_run, millis(timeout)


def asked(
    usual_attempts: int | None,
    *,
    priority: int | None = None,
    delay: Duration | None = None,
    at: When | None = None,
    ttl: Duration | None = None,
    max_attempts: int | None = None,
    at_most_once: bool = False,
    if_no_group: IfNoGroup | None = None,
    key: str | None = None,
    dedup: str | None = None,
    dedup_window: Duration | None = None,
) -> tuple[
    int | None, int | None, int | None, int | None, int | None, bool, IfNoGroup | None, str | None, str | None, int | None
]:
    """Terms as the last arguments of the native verbs, where a queue has attempts of its own.

    Errors: TypeError, also for an unknown one; WrongCall (101).
    """
    at_ms = None if at is None else epoch_millis(at)
    attempts = usual_attempts if max_attempts is None else max_attempts
    spans = millis_or_none(delay), millis_or_none(ttl), millis_or_none(dedup_window)
    return priority, spans[0], at_ms, spans[1], attempts, at_most_once, if_no_group, key, dedup, spans[2]


_TIMES = ("enqueue_timeout", "lease", "takeover_after", "repair_after", "retire_after")
_LISTS = {"seeds": "seeds are addresses", "secret": "a secret is text"}
_PATHS = ("data_dir", "tls_ca", "tls_cert", "tls_key")


def pairs(options: Options) -> list[tuple[str, str]]:
    """The core's pairs. Unknown names pass: the core refuses them and names the nearest known one."""
    return [_pair(key, value) for key, value in options.items() if value is not None]


def _pair(key: str, value: object) -> tuple[str, str]:
    if key in _TIMES:
        return f"{key}_ms", str(millis(value))  # type: ignore[arg-type]  # millis checks it
    if key in _LISTS and not isinstance(value, str):
        return key, ",".join(texts(value, _LISTS[key]))
    if key in _PATHS and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"option {key} is text or a whole number, not {type(value).__name__}")
    return key, str(value)


def secrets_of(value: str | Iterable[str]) -> list[str]:
    """Secrets as the option ``secret`` reads them: one, several, or several between commas."""
    listed = [value] if isinstance(value, str) else texts(value, _LISTS["secret"])
    return [one for part in listed for one in map(str.strip, part.split(",")) if one]


def texts(value: object, what: str) -> list[str]:
    """Several texts. Errors: TypeError, which never shows a value: it may be a secret."""
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise TypeError(f"{what}, not {type(value).__name__}")
    listed = list(value)
    for one in listed:
        if not isinstance(one, str):
            raise TypeError(f"{what}, not {type(one).__name__}")
    return listed
