"""The native layer: it converts, calls one verb of the core, converts back.

Durations are whole milliseconds. A verb that may have to wait takes `on`: without it the call waits
with the interpreter lock let go; with it the answer is the value, if it is here already, or an int,
the ticket under which that `Completions` will bring it. Every verb answers 501 "forked" in a child
of the process that made the handle.
"""

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, final, overload

from typing_extensions import Buffer

from ._values import Broadcast, Change, Diagnosis, Entry, Event, Explanation, Member, Page, Redriven, Reply

__all__ = [
    "Completions",
    "Delivery",
    "Events",
    "Primer",
    "Queue",
    "Receipt",
    "Subscription",
    "Topic",
    "Watch",
    "__version__",
    "join_waits",
    "waits",
]

__version__: str

_Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

@final
class Primer:
    """This process's place in a cluster."""

    @staticmethod
    def open(options: Sequence[tuple[str, str]]) -> Primer: ...
    @staticmethod
    def start(options: Sequence[tuple[str, str]]) -> Primer: ...
    @overload
    def joined(self, on: None = None) -> None: ...
    @overload
    def joined(self, on: Completions) -> int | None: ...
    @overload
    def join(self, address: str, on: None = None) -> None: ...
    @overload
    def join(self, address: str, on: Completions) -> int | None: ...
    @overload
    def leave(self, drain_ms: int | None = None, force: bool = False, on: None = None) -> None: ...
    @overload
    def leave(self, drain_ms: int | None, force: bool, on: Completions) -> int | None: ...
    @overload
    def close(self, on: None = None) -> None: ...
    @overload
    def close(self, on: Completions) -> int | None: ...
    def is_closed(self) -> bool: ...
    def is_forked(self) -> bool: ...
    def address(self) -> str | None: ...
    def members(self) -> builtins.list[Member]: ...
    def stats(self) -> dict[str, int]: ...
    def events(self) -> Events: ...
    def queue(self, name: str) -> Queue: ...
    def evict(self, member: str) -> None: ...
    def reclaim(self, keep: bool) -> int: ...
    def rotate(self, secrets: Sequence[str]) -> None: ...
    def broadcast(self, topic: str, body: Buffer) -> None: ...
    def on(self, topic: str) -> Topic: ...
    def put(self, key: str, value: Buffer) -> None: ...
    def get(self, key: str) -> bytes | None: ...
    def delete(self, key: str) -> None: ...
    def list(self, prefix: str) -> builtins.list[Entry]: ...
    def watch(self, prefix: str) -> Watch: ...
    def set_policy(self, prefix: str, settings: builtins.list[tuple[str, str]]) -> None: ...
    def remove_policy(self, prefix: str) -> None: ...
    def policies(self) -> builtins.list[tuple[str, builtins.list[tuple[str, str]]]]: ...
    @overload
    def explain(self, id: str, on: None = None) -> Explanation: ...
    @overload
    def explain(self, id: str, on: Completions) -> Explanation | int: ...

@final
class Queue:
    """A best-effort-order queue, as seen from one member."""

    @property
    def name(self) -> str: ...
    @overload
    def enqueue(
        self,
        body: Buffer,
        copies: int | None = None,
        on_short: str | None = None,
        timeout_ms: int | None = None,
        headers: _Headers | None = None,
        on: None = None,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> Receipt: ...
    @overload
    def enqueue(
        self,
        body: Buffer,
        copies: int | None,
        on_short: str | None,
        timeout_ms: int | None,
        headers: _Headers | None,
        on: Completions,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> Receipt | int: ...
    @overload
    def call(
        self,
        body: Buffer,
        timeout_ms: int,
        copies: int | None = None,
        on_short: str | None = None,
        enqueue_timeout_ms: int | None = None,
        headers: _Headers | None = None,
        on: None = None,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> Reply: ...
    @overload
    def call(
        self,
        body: Buffer,
        timeout_ms: int,
        copies: int | None,
        on_short: str | None,
        enqueue_timeout_ms: int | None,
        headers: _Headers | None,
        on: Completions,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> Reply | int: ...
    @overload
    def enqueue_many(
        self,
        bodies: Iterable[Buffer],
        copies: int | None = None,
        on_short: str | None = None,
        timeout_ms: int | None = None,
        headers: _Headers | None = None,
        on: None = None,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> list[Receipt]: ...
    @overload
    def enqueue_many(
        self,
        bodies: Iterable[Buffer],
        copies: int | None,
        on_short: str | None,
        timeout_ms: int | None,
        headers: _Headers | None,
        on: Completions,
        priority: int | None = None,
        delay_ms: int | None = None,
        at_ms: int | None = None,
        ttl_ms: int | None = None,
        max_attempts: int | None = None,
        at_most_once: bool = False,
        if_no_group: str | None = None,
        key: str | None = None,
        dedup: str | None = None,
        dedup_window_ms: int | None = None,
    ) -> list[Receipt] | int: ...
    @overload
    def receive(
        self,
        max: int = 1,
        wait_ms: int = 0,
        lease_ms: int | None = None,
        on: None = None,
        group: str | None = None,
        backlog: bool = False,
    ) -> list[Delivery]: ...
    @overload
    def receive(
        self,
        max: int,
        wait_ms: int,
        lease_ms: int | None,
        on: Completions,
        group: str | None = None,
        backlog: bool = False,
    ) -> list[Delivery] | int: ...
    @overload
    def browse(
        self,
        max: int = 100,
        after: str | None = None,
        group: str | None = None,
        states: Sequence[str] | None = None,
        headers: _Headers | None = None,
        body_bytes_max: int = 65536,
        timeout_ms: int = 2000,
        on: None = None,
    ) -> Page: ...
    @overload
    def browse(
        self,
        max: int,
        after: str | None,
        group: str | None,
        states: Sequence[str] | None,
        headers: _Headers | None,
        body_bytes_max: int,
        timeout_ms: int,
        on: Completions,
    ) -> Page | int: ...
    @overload
    def redrive(
        self,
        to: str | None = None,
        max: int = 10000,
        headers: _Headers | None = None,
        ids: Sequence[str] | None = None,
        dry_run: bool = False,
        timeout_ms: int = 30000,
        on: None = None,
    ) -> Redriven: ...
    @overload
    def redrive(
        self,
        to: str | None,
        max: int,
        headers: _Headers | None,
        ids: Sequence[str] | None,
        dry_run: bool,
        timeout_ms: int,
        on: Completions,
    ) -> Redriven | int: ...
    @overload
    def doctor(self, on: None = None) -> Diagnosis: ...
    @overload
    def doctor(self, on: Completions) -> Diagnosis | int: ...
    def subscribe(
        self,
        credit: int = 64,
        lease_ms: int | None = None,
        group: str | None = None,
        backlog: bool = False,
        credit_bytes: int | None = None,
        max_run_ms: int | None = None,
    ) -> Subscription: ...
    def create_group(self, group: str, backlog: bool = False) -> None: ...
    def remove_group(self, group: str) -> None: ...
    def groups(self) -> list[str]: ...
    def configure(self, settings: list[tuple[str, str]]) -> None: ...
    def configuration(self) -> list[tuple[str, str]]: ...
    def pause(self, direction: str) -> None: ...
    def resume(self) -> None: ...
    def purge(self) -> None: ...
    def reply(self, delivery: Delivery, body: Buffer, headers: _Headers | None = None) -> None: ...
    def ack(self, delivery: Delivery) -> None: ...
    def ack_many(self, deliveries: Sequence[Delivery]) -> list[int]: ...
    @overload
    def nack(self, delivery: Delivery, delay_ms: int | None = None, on: None = None) -> None: ...
    @overload
    def nack(self, delivery: Delivery, delay_ms: int | None, on: Completions) -> int | None: ...
    @overload
    def release(self, delivery: Delivery, on: None = None) -> None: ...
    @overload
    def release(self, delivery: Delivery, on: Completions) -> int | None: ...
    @overload
    def reject(self, delivery: Delivery, reason: str, on: None = None) -> None: ...
    @overload
    def reject(self, delivery: Delivery, reason: str, on: Completions) -> int | None: ...
    @overload
    def extend(self, delivery: Delivery, lease_ms: int | None = None, on: None = None) -> None: ...
    @overload
    def extend(self, delivery: Delivery, lease_ms: int | None, on: Completions) -> int | None: ...

@final
class Delivery:
    """A message on lease to this process. `memoryview(delivery)` is its body without a copy."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...
    @property
    def attempts(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def key(self) -> str | None: ...
    @property
    def queue(self) -> str: ...
    @property
    def wants_reply(self) -> bool: ...
    def reply(self, body: Buffer, headers: _Headers | None = None) -> None: ...
    def ack(self) -> None: ...
    @overload
    def nack(self, delay_ms: int | None = None, on: None = None) -> None: ...
    @overload
    def nack(self, delay_ms: int | None, on: Completions) -> int | None: ...
    @overload
    def release(self, on: None = None) -> None: ...
    @overload
    def release(self, on: Completions) -> int | None: ...
    @overload
    def reject(self, reason: str, on: None = None) -> None: ...
    @overload
    def reject(self, reason: str, on: Completions) -> int | None: ...
    @overload
    def extend(self, lease_ms: int | None = None, on: None = None) -> None: ...
    @overload
    def extend(self, lease_ms: int | None, on: Completions) -> int | None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Subscription:
    """Deliveries pushed to this process, at most `credit` of them unsettled."""

    @property
    def queue(self) -> str: ...
    @overload
    def next(self, wait_ms: int | None = None, on: None = None) -> Delivery | None: ...
    @overload
    def next(self, wait_ms: None, on: Completions) -> Delivery | int: ...
    def take(self, max: int) -> list[Delivery]: ...
    def credit(self, more: int) -> None: ...
    def close(self) -> None: ...

@final
class Events:
    """What happens to the cluster, from the moment it was made."""

    def take(self, max: int) -> list[Event]: ...
    @overload
    def next(self, wait_ms: int | None = None, on: None = None) -> Event | None: ...
    @overload
    def next(self, wait_ms: None, on: Completions) -> Event | int: ...
    def missed(self) -> int: ...
    def close(self) -> None: ...

@final
class Topic:
    """What is broadcast to one topic, from the moment it was made."""

    def take(self, max: int) -> list[Broadcast]: ...
    @overload
    def next(self, wait_ms: int | None = None, on: None = None) -> Broadcast | None: ...
    @overload
    def next(self, wait_ms: None, on: Completions) -> Broadcast | int: ...
    def missed(self) -> int: ...
    def close(self) -> None: ...

@final
class Watch:
    """Changes of keys, from the moment it was made."""

    def take(self, max: int) -> list[Change]: ...
    @overload
    def next(self, wait_ms: int | None = None, on: None = None) -> Change | None: ...
    @overload
    def next(self, wait_ms: None, on: Completions) -> Change | int: ...
    def missed(self) -> int: ...
    def close(self) -> None: ...

@final
class Receipt:
    """An enqueue's honest answer."""

    @property
    def id(self) -> str:
        """The message's identity."""
    @property
    def copies(self) -> int:
        """Members that hold it, this one included."""
    @property
    def durable_copies(self) -> int:
        """How many of them have it on disk; 0 while persistence is off."""
    @property
    def wanted(self) -> int:
        """Copies that were asked for."""
    @property
    def is_duplicate(self) -> bool:
        """True where its ``dedup`` was known: the message is that of an earlier enqueue."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Completions:
    """Late answers for an event loop: poll the descriptor for reading, then drain."""

    def __new__(cls) -> Completions: ...
    def descriptor(self) -> int: ...
    def drain(self, max: int) -> list[tuple[int, object]]: ...
    def cancel(self, ticket: int) -> bool: ...
    def close(self) -> None: ...

def waits() -> int: ...
def join_waits() -> None: ...
