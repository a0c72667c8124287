"""The sync face: members, queues, subscriptions and events over the native verbs.

Each idiom is a few lines over a verb. Waits let other threads run, and Ctrl-C interrupts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias, Unpack

from . import _primer
from ._delivery import Delivery
from ._durations import Duration, millis, millis_or_none
from ._errors import MemberDown, PrimerError, is_end
from ._lifetime import watch
from ._options import OnShort, Options, pairs

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._values import Event, Member

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers of a message; pairs where a name may repeat. Their order is kept."""


def open(**options: Unpack[Options]) -> Primer:
    """Opens a member and gives a seed the time to answer (at most two seconds, then it serves alone).

    Without options: one member in memory without a socket. Use it as a context manager, or close it.
    Errors: 101 for a bad option, 106 for a non-loopback address, 502 when it cannot bind.
    """
    primer = start(**options)
    primer.joined()
    return primer


def start(**options: Unpack[Options]) -> Primer:
    """As :func:`open`, without waiting for a seed: it works at once, also alone."""
    native = _primer.Primer.start(pairs(options))
    watch(native)
    return Primer(native, options.get("cluster", "default"))


def describe(native: _primer.Primer, name: str, cluster: str) -> str:
    """A member's repr, with its state."""
    if native.is_forked():
        return f"<{name} cluster={cluster!r} forked>"
    try:
        if not native.is_closed():
            members = native.members()
            seen = sum(member.is_reachable for member in members)
            return f"<{name} cluster={cluster!r} address={native.address()} members={seen}/{len(members)}>"
    except PrimerError:
        pass  # It was closed in between.
    return f"<{name} cluster={cluster!r} closed>"


class Primer:
    """This process's place in a cluster."""

    __slots__ = ("__weakref__", "_cluster", "_native")

    def __init__(self, native: _primer.Primer, cluster: str) -> None:
        self._native = native
        self._cluster = cluster

    def joined(self) -> None:
        """Waits until a seed answered, or none is configured, or two seconds passed."""
        self._native.joined()

    def join(self, address: str) -> None:
        """Dials ``address`` ("host:port") and joins its cluster.

        Errors: 101, 107 for another cluster, 108, 202 when nobody answers there, 302, 501.
        """
        self._native.join(address)

    def leave(self, *, drain: Duration | None = None, force: bool = False) -> None:
        """Hands every copy to other members and leaves the cluster; it stays open, alone.

        Errors: 205 with the number of copies left after ``drain`` (30 s); ``force`` leaves anyway. 501.
        """
        self._native.leave(millis_or_none(drain), force)

    def close(self) -> None:
        """Closes this member: waiters answer 501. Idempotent, from any thread. It does not leave."""
        self._native.close()

    @property
    def is_closed(self) -> bool:
        """True once it was closed or failed."""
        return self._native.is_closed()

    @property
    def address(self) -> str | None:
        """Where it listens, "127.0.0.1:port"; None when it does not."""
        return self._native.address()

    def members(self) -> list[Member]:
        """The member set, this one included, in the order of their ids. Errors: 501."""
        return self._native.members()

    def stats(self) -> dict[str, int]:
        """Counters and gauges by stable names. Errors: 501."""
        return self._native.stats()

    def events(self) -> Events:
        """A reader of events from now on: ``for event in node.events()``."""
        return Events(self._native.events(), self._native)

    def queue(
        self,
        name: str,
        *,
        copies: int | None = None,
        on_short: OnShort | None = None,
        timeout: Duration | None = None,
        lease: Duration | None = None,
    ) -> Queue:
        """The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.

        The options are this handle's defaults for its enqueues and receives.
        """
        native = self._native.queue(name)
        return Queue(native, self._native, copies, on_short, millis_or_none(timeout), millis_or_none(lease))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A forked child that leaves its parent's block has nothing of its own to close.
        if not self._native.is_forked():
            self._native.close()

    def __repr__(self) -> str:
        return describe(self._native, "primer.Primer", self._cluster)


class Queue:
    """A best-effort-order queue, as seen from this member. It keeps its member open."""

    __slots__ = ("_copies", "_lease_ms", "_member", "_name", "_native", "_on_short", "_timeout_ms")

    def __init__(
        self,
        native: _primer.Queue,
        member: _primer.Primer,
        copies: int | None,
        on_short: OnShort | None,
        timeout_ms: int | None,
        lease_ms: int | None,
    ) -> None:
        self._native = native
        self._member = member
        self._name = native.name
        self._copies = copies
        self._on_short = on_short
        self._timeout_ms = timeout_ms
        self._lease_ms = lease_ms

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    def enqueue(
        self,
        body: Buffer,
        *,
        copies: int | None = None,
        on_short: OnShort | None = None,
        timeout: Duration | None = None,
        headers: Headers | None = None,
    ) -> _primer.Receipt:
        """Puts a message into the queue and waits for its copies. A large ``bytes`` is not copied.

        Errors: 101, 104, 201, 202, 203, 301 with ``on_short="fail"``, 501.
        """
        return self._native.enqueue(
            body,
            self._copies if copies is None else copies,
            self._on_short if on_short is None else on_short,
            self._timeout_ms if timeout is None else millis(timeout),
            headers,
        )

    def enqueue_many(
        self,
        bodies: Iterable[Buffer],
        *,
        copies: int | None = None,
        on_short: OnShort | None = None,
        timeout: Duration | None = None,
        headers: Headers | None = None,
    ) -> list[_primer.Receipt]:
        """Puts several messages into the queue, all or none; they share the options. Errors: as enqueue."""
        return self._native.enqueue_many(
            bodies,
            self._copies if copies is None else copies,
            self._on_short if on_short is None else on_short,
            self._timeout_ms if timeout is None else millis(timeout),
            headers,
        )

    def receive(self, *, wait: Duration = 0, lease: Duration | None = None) -> Delivery | None:
        """Leases one message, waiting up to ``wait`` for it; None when there was none. Errors: 101, 501."""
        leased = self._native.receive(1, millis(wait), self._lease_ms if lease is None else millis(lease))
        return Delivery(leased[0]) if leased else None

    def receive_many(
        self, max: int, *, wait: Duration = 0, lease: Duration | None = None
    ) -> list[Delivery]:
        """Leases up to ``max`` messages, waiting up to ``wait`` for the first. Errors: 101, 501."""
        leased = self._native.receive(max, millis(wait), self._lease_ms if lease is None else millis(lease))
        return [Delivery(native) for native in leased]

    def ack_many(self, deliveries: Iterable[Delivery]) -> list[int]:
        """Acks several; answers one number each, 0 or the error's (402). Errors: 104, 501."""
        listed = list(deliveries)
        codes = self._native.ack_many([delivery._native for delivery in listed])
        for delivery, code in zip(listed, codes, strict=True):
            if code == 0:
                delivery._settled = "acked"
        return codes

    def subscribe(self, *, credit: int = 64, lease: Duration | None = None) -> Subscription:
        """Push: at most ``credit`` unsettled deliveries at a time. Errors: 101, 201, 501."""
        lease_ms = self._lease_ms if lease is None else millis(lease)
        return Subscription(self._native.subscribe(credit, lease_ms), self._member)

    def __repr__(self) -> str:
        return f"<primer.Queue {self._name!r}>"


class Subscription:
    """A stream of deliveries: ``for delivery in queue.subscribe()``.

    It ends when it or its member is closed. Leaving ``with`` closes it: what was not taken goes back.
    """

    __slots__ = ("_closed", "_member", "_native")

    def __init__(self, native: _primer.Subscription, member: _primer.Primer) -> None:
        self._native = native
        self._member = member
        self._closed = False

    @property
    def queue(self) -> str:
        """The name of the queue it reads."""
        return self._native.queue

    def next(self, wait: Duration | None = None) -> Delivery | None:
        """The next delivery, waiting up to ``wait`` (none: no limit); None in vain. Errors: 501."""
        native = self._native.next(millis_or_none(wait))
        return None if native is None else Delivery(native)

    def credit(self, more: int) -> None:
        """Raises the number of unsettled deliveries. Errors: 101, 501."""
        self._native.credit(more)

    def close(self) -> None:
        """Ends it. What was taken stays leased. Idempotent."""
        self._native.close()
        self._closed = True

    def __iter__(self) -> Iterator[Delivery]:
        return self

    def __next__(self) -> Delivery:
        try:
            native = self._native.next()
        except MemberDown as error:
            if is_end(error):
                raise StopIteration from None
            raise
        assert native is not None, "a wait without a limit ends in a delivery or an error"
        return Delivery(native)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        try:
            return f"<primer.Subscription queue={self.queue!r} {'closed' if self._closed else 'open'}>"
        except PrimerError as error:
            return f"<primer.Subscription {error.reason or error.kind}>"


class Events:
    """A reader of a member's events, from the moment it was made: ``for event in node.events()``.

    It ends when the member is closed. A reader more than 1,024 behind misses the oldest.
    """

    __slots__ = ("_member", "_native")

    def __init__(self, native: _primer.Events, member: _primer.Primer) -> None:
        self._native = native
        self._member = member

    def take(self, max: int = 1024) -> list[Event]:
        """Up to ``max`` events that are here already."""
        return self._native.take(max)

    def next(self, wait: Duration | None = None) -> Event | None:
        """The next event, waiting up to ``wait`` (none: no limit); None in vain. Errors: 501."""
        return self._native.next(millis_or_none(wait))

    @property
    def missed(self) -> int:
        """Events that this reader has missed so far."""
        return self._native.missed()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            event = self._native.next()
        except MemberDown as error:
            if is_end(error):
                raise StopIteration from None
            raise
        assert event is not None, "a wait without a limit ends in an event or an error"
        return event

    def __repr__(self) -> str:
        try:
            return f"<primer.Events missed={self.missed}>"
        except PrimerError as error:
            return f"<primer.Events {error.reason or error.kind}>"
