"""Values that Primer answers with and that hold no handle; the native layer makes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the cluster, as this one sees it."""

    id: str
    """Its place in the cluster, 32 hexadecimal digits."""
    name: str
    """Its name; empty when it has none."""
    address: str
    """Where it listens, "host:port"; empty when it does not."""
    boot: str
    """Which life of its process, 16 hexadecimal digits."""
    is_self: bool
    """True for the member that was asked."""
    is_reachable: bool
    """That member's own opinion, never the cluster's."""
    memory_level: int
    """How near it is to its memory budget, 0 to 4, as it told; from 3 on it takes nothing new."""
    zone: str
    """What fails together with it; empty when it was told none."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the cluster, as this member sees it."""

    at_ms: int
    """Wall-clock milliseconds since 1970."""
    kind: str
    """joined, left, suspect, unreachable, reachable, split, healed, conflict, evicted, takeover or refused."""
    member: str
    """The id of the member that it happened to."""
    name: str
    """Its name; may be empty."""
    detail: str
    """Further words; may be empty. Of a split: the members of this one's own island."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What a member told everyone who listens to a topic."""

    topic: str
    """The topic's name."""
    from_: str
    """The id of the member that told it."""
    body: bytes
    """What it told."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered with."""

    body: bytes
    """The handler's bytes."""
    header_list: tuple[tuple[str, str], ...]
    """All of the handler's headers, in their order."""

    @property
    def headers(self) -> dict[str, str]:
        """The handler's headers; of a repeated name, the last value."""
        return dict(self.header_list)

    def json(self) -> Any:
        """The body read as JSON. Errors: ``json.JSONDecodeError``, ``UnicodeDecodeError``."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Browsed:
    """A message that was looked at: nobody has it for that, and it may be gone by now."""

    id: str
    """Its identity, the same in every group."""
    group: str | None
    """The group; None for the queue's own."""
    state: str
    """What it was doing: "ready", "delayed" or "leased"."""
    body: bytes
    """The producer's bytes, the first of them."""
    body_bytes: int
    """How many there are."""
    header_list: tuple[tuple[str, str], ...]
    """All of the producer's headers, in their order."""
    attempts: int
    """How often it was given out."""
    priority: int
    """0 (last) to 9 (first)."""
    key: str | None
    """The key that it was put in with."""
    accepted_ms: int
    """When it was accepted, in milliseconds since 1970 by the clock of the member that did."""
    ready_at_ms: int | None
    """Of a delayed one, when it is ready, in milliseconds since 1970."""
    expires_ms: int | None
    """When it expires, in milliseconds since 1970."""
    lease_ms: int | None
    """Of a leased one, how long its lease lasts."""
    copies: int
    """Members that are known to hold it."""
    owner: str
    """The id of the member that owns it."""

    @property
    def headers(self) -> dict[str, str]:
        """The producer's headers; of a repeated name, the last value."""
        return dict(self.header_list)

    def json(self) -> Any:
        """The body read as JSON; it must be here as a whole. Errors: ``json.JSONDecodeError``, ``UnicodeDecodeError``."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a queue's messages, oldest first; iterating over it gives them."""

    messages: tuple[Browsed, ...]
    """The messages."""
    cursor: str | None
    """The next page's ``after``; None where this is the last one."""
    missing: tuple[str, ...]
    """The ids of members whose messages are not in it: unreachable, too busy, or too slow."""

    def __iter__(self) -> Iterator[Browsed]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)


@dataclass(frozen=True, slots=True)
class Account:
    """What one member knows of a message, or of it in one group, or of its dead letter."""

    member: str
    """Whose account it is, by its id."""
    known: str
    """What the message is there.

    Its owner says "replicating", "ready", "delayed", "leased", "moving" or "dying", who has a copy "standby". Of a
    finished one it is "acked", "dead", "expired", "aborted", or at last "forgotten"; else "unknown".
    """
    id: str
    """The id there: in a group, or as a dead letter, one of its own."""
    queue: str | None
    """Its queue; None where that is not known any more."""
    group: str | None
    """Its group; None for the queue's own."""
    attempts: int
    """How often it was given out, as far as is known there."""
    owner: str | None
    """The id of the member that owns it, as far as is known there."""
    holders: tuple[str, ...]
    """The ids of members that may hold it, as far as is known there."""
    confirmed: int
    """How many of these have confirmed it."""
    lessee: str | None
    """Of a leased one, the id of the member whose consumer has it."""
    lease_ms: int | None
    """Of a leased one, how long its lease lasts."""
    accepted_ms: int | None
    """When it was accepted, in milliseconds since 1970 by the clock of the member that did."""
    ready_at_ms: int | None
    """Of a delayed one, when it is ready, in milliseconds since 1970."""
    expires_ms: int | None
    """When it expires, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the members that answered know of a message; iterating over it gives their accounts."""

    accounts: tuple[Account, ...]
    """One or more a member, in the order of the members' ids."""
    missing: tuple[str, ...]
    """The ids of members that did not answer: unreachable, or too slow."""

    def __iter__(self) -> Iterator[Account]:
        return iter(self.accounts)

    def __len__(self) -> int:
        return len(self.accounts)


@dataclass(frozen=True, slots=True)
class Redriven:
    """What became of a redrive, at the members that answered."""

    matched: int
    """Ready and delayed messages that were meant, whatever the maximum."""
    moved: int
    """Those of them that are back, each as a message of its own with a new id."""
    refused: int
    """Those that stay because where they would go they were refused: paused, full, or their group is gone."""
    skipped: int
    """Those that stay because they do not say where they came from, or may be in no two places."""
    leased: int
    """Further messages that were meant, but a consumer has them."""
    missing: tuple[str, ...]
    """The ids of members that did not answer: unreachable, too busy, or too slow. What they moved is not known."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is the matter with a queue, or with a group of it."""

    code: str
    """What it is.

    "paused_out", "owner_unreachable", "member_missing", "no_group", "no_consumer", "no_credit", "all_leased", "delayed",
    "key_busy", "paused_in", "full", "memory", "empty" or "healthy".
    """
    group: str | None
    """In which group; None for the queue itself."""
    messages: int
    """How many messages it is about; 0 where it is about none in particular."""
    members: tuple[str, ...]
    """The ids of members that it is about: who says so, whose consumers have them, or who is not reached."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one member knows of a queue, or of one group of it."""

    member: str
    """Whose facts they are, by its id."""
    group: str | None
    """The group; None for the queue itself."""
    ready: int
    """Messages that it owns, and anyone may have."""
    leased: int
    """Those that it owns, and somebody has."""
    delayed: int
    """Those that it owns, and that wait for their time."""
    standby: int
    """Copies that it holds of other owners' messages."""
    stranded: int
    """Those of these whose owner it cannot reach."""
    oldest_ms: int | None
    """How long ago the oldest ready one was accepted, in milliseconds."""
    next_ready_ms: int | None
    """In how long the first delayed one is ready, in milliseconds."""
    next_lease_ms: int | None
    """In how long the first lease ends, in milliseconds."""
    lessees: tuple[str, ...]
    """The ids of members whose consumers have leased ones; some of them."""
    owners: tuple[str, ...]
    """The ids of members that own what is stranded; some of them."""
    receives: int
    """Receives that wait at it."""
    subscriptions: int
    """Subscriptions that are open at it."""
    credit: int
    """How many more messages these may be given."""
    paused: str | None
    """"in", "out" or "both"; None where it is not paused."""
    paused_by: str | None
    """The beginning of names whose policy pauses it; None where its own setting does, or nothing."""
    messages_max: int | None
    """How many messages it may have."""
    bytes_max: int | None
    """How many bytes of bodies."""
    is_full: bool
    """One more would be refused."""
    memory_percent: int
    """How much of the member's memory budget is used, in percent."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is the matter with a queue, and what that follows from; iterating over it gives the findings."""

    findings: tuple[Finding, ...]
    """The most important first; never none."""
    facts: tuple[Facts, ...]
    """What each member knows, of the queue itself and of each of its groups, in the order of the members' ids."""
    missing: tuple[str, ...]
    """The ids of members that did not answer: unreachable, too busy, or too slow."""

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the cluster's, as this member knows it."""

    key: str
    """Its name."""
    value: bytes
    """What is read."""
    at_ms: int
    """When that was written, by the writer's clock: milliseconds since 1970."""
    others: tuple[bytes, ...]
    """Values that were written at the same time and lost to it, newest first."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key has another value."""

    key: str
    """Its name."""
    value: bytes | None
    """What it is now; None when it was removed."""
