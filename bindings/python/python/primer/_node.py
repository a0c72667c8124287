"""The sync face: members, queues and subscriptions over the native verbs; readers are in ``_readers``.

Each idiom is a few lines over a verb. Waits let other threads run, and Ctrl-C interrupts them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from . import _primer
from ._delivery import Delivery
from ._durations import Duration, millis, millis_or_none
from ._errors import PrimerError
from ._lifetime import watch
from ._options import Browse, Headers, OnShort, Options, Redrive, Terms, asked, looked, pairs, redriving, secrets_of
from ._readers import Events, Stream, Topic, Watch
from ._settings import Direction, Settings, settings_of, settings_pairs
from ._workers import MAX_RUN, Handler, Worker, check

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._values import Diagnosis, Entry, Explanation, Member, Page, Redriven, Reply

CALL_TIMEOUT: Duration = "30s"
"""How long a call waits for its reply, unless told otherwise."""


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

    def members(self) -> builtins.list[Member]:
        """The member set, this one included, in the order of their ids. Errors: 501."""
        return self._native.members()

    def stats(self) -> dict[str, int]:
        """Counters and gauges by stable names. Errors: 501."""
        return self._native.stats()

    def explain(self, id: str) -> Explanation:
        """What every member that answers within two seconds knows of a message; changes nothing.

        Who owns it and what it does there, who has a copy, who remembers its end: in each group, and with its dead
        letter. Errors: 101 for what is no id, 203 with too many at a time, 501.
        """
        return self._native.explain(id)

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
        max_attempts: int | None = None,
    ) -> Queue:
        """The queue of that name; it need not exist, first use makes it. Errors: 101, 201, 501.

        The options are this handle's defaults for its enqueues and receives.
        """
        native = self._native.queue(name)
        spans = millis_or_none(timeout), millis_or_none(lease)
        return Queue(native, self._native, copies, on_short, *spans, max_attempts)

    def worker(
        self,
        queue: str,
        *,
        concurrency: int = 1,
        lease: Duration | None = None,
        credit_bytes: int | None = None,
        max_run: Duration = MAX_RUN,
        group: str | None = None,
        backlog: bool = False,
    ) -> Callable[[Handler], Worker]:
        """``@node.worker("emails", concurrency=8)`` before a function begins a worker: see :meth:`Queue.worker`."""

        def begin(handler: Handler) -> Worker:
            return self.queue(queue).worker(
                handler,
                concurrency=concurrency,
                lease=lease,
                credit_bytes=credit_bytes,
                max_run=max_run,
                group=group,
                backlog=backlog,
            )

        return begin

    def evict(self, member: str) -> None:
        """Takes a member out of the set for good, by its id: it is refused until it has joined afresh.

        It deletes nothing: what it holds is set aside there, see :meth:`reclaim`. For those that will not
        come back, and those that must not. Errors: 101 for this member itself, 102 for none of the set, 501.
        """
        self._native.evict(member)

    def reclaim(self, *, keep: bool) -> int:
        """After this member was evicted: gives the messages that it set aside out again, or drops them.

        Answers how many; some may have been done elsewhere meanwhile. Errors: 501.
        """
        return self._native.reclaim(keep)

    def rotate(self, secrets: str | Iterable[str]) -> None:
        """Takes these secrets instead of those it has, one to three, from now on; links that are up stay.

        Give every member the old and the new one, in any order, then every member the new one alone.
        Errors: 101 for none, too many or a weak one, 106 for a member that was opened without, 501.
        """
        self._native.rotate(secrets_of(secrets))

    def broadcast(self, topic: str, body: Buffer) -> None:
        """Tells everyone who listens to ``topic``, this member included: at once, best effort.

        Nothing is stored and nobody answers. Errors: 101, 104 (64 KiB), 203 (too much at a time), 501.
        """
        self._native.broadcast(topic, body)

    def on(self, topic: str) -> Topic:
        """A reader of what is broadcast to ``topic`` from now on: ``for message in node.on("chat")``.

        Errors: 101.
        """
        return Topic(self._native.on(topic), self._native, topic)

    def put(self, key: str, value: Buffer) -> None:
        """Writes ``value`` under ``key`` for the whole cluster: here at once, elsewhere soon.

        Of two writes that did not know of each other the later one is read, and :meth:`list` shows both.
        Errors: 101, 104 (64 KiB), 201 (100,000 keys), 203 (200 writes a second), 501.
        """
        self._native.put(key, value)

    def get(self, key: str) -> bytes | None:
        """What is under ``key`` as this member knows it; None when nothing is. Errors: 501."""
        return self._native.get(key)

    def delete(self, key: str) -> None:
        """Removes ``key`` for the whole cluster; one that is not there is no error. Errors: 101, 203, 501."""
        self._native.delete(key)

    def list(self, prefix: str = "") -> builtins.list[Entry]:
        """The keys that begin with ``prefix``, ascending, with their values. Errors: 501."""
        return self._native.list(prefix)

    def watch(self, prefix: str = "") -> Watch:
        """A reader of changes of the keys that begin with ``prefix``: ``for change in node.watch("jobs/")``."""
        return Watch(self._native.watch(prefix), self._native, prefix)

    def set_policy(self, prefix: str, **settings: Unpack[Settings]) -> None:
        """Settings for every queue whose name begins with ``prefix`` ("" for all), in place of those before.

        The longest prefix counts, whole; a queue's own settings are above it. Errors: 101, 104, 201, 203, 501.
        """
        self._native.set_policy(prefix, settings_pairs(settings))

    def remove_policy(self, prefix: str) -> None:
        """Removes a policy; one that is not there is no error. Errors: 203, 501."""
        self._native.remove_policy(prefix)

    def policies(self) -> dict[str, dict[str, int | float | str]]:
        """The policies as this member knows them, by their prefixes. Errors: 501."""
        return {prefix: settings_of(pairs) for prefix, pairs in self._native.policies()}

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

    __slots__ = ("_copies", "_lease_ms", "_max_attempts", "_member", "_name", "_native", "_on_short", "_timeout_ms")

    def __init__(
        self,
        native: _primer.Queue,
        member: _primer.Primer,
        copies: int | None,
        on_short: OnShort | None,
        timeout_ms: int | None,
        lease_ms: int | None,
        max_attempts: int | None,
    ) -> None:
        self._native = native
        self._member = member
        self._name = native.name
        self._copies = copies
        self._on_short = on_short
        self._timeout_ms = timeout_ms
        self._lease_ms = lease_ms
        self._max_attempts = max_attempts

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
        **terms: Unpack[Terms],
    ) -> _primer.Receipt:
        """Puts a message into the queue and waits for its copies. A large ``bytes`` is not copied.

        Beside these options it takes those of ``primer.Terms``: priority, delay, at, ttl, max_attempts, at_most_once, key,
        dedup, dedup_window, if_no_group. Errors: 101, 102 with ``if_no_group="refuse"``, 104, 201, 202, 203, 204,
        301 with ``on_short="fail"``, 302 (another member was to take it and did not answer: it may have happened), 501.
        """
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        timeout_ms = self._timeout_ms if timeout is None else millis(timeout)
        if not terms and self._max_attempts is None:
            return self._native.enqueue(body, copies, on_short, timeout_ms, headers)
        rest = asked(self._max_attempts, **terms)
        return self._native.enqueue(body, copies, on_short, timeout_ms, headers, None, *rest)

    def enqueue_many(
        self,
        bodies: Iterable[Buffer],
        *,
        copies: int | None = None,
        on_short: OnShort | None = None,
        timeout: Duration | None = None,
        headers: Headers | None = None,
        **terms: Unpack[Terms],
    ) -> list[_primer.Receipt]:
        """Puts several messages into the queue, all or none; they share the options. Errors: as enqueue."""
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        timeout_ms = self._timeout_ms if timeout is None else millis(timeout)
        if not terms and self._max_attempts is None:
            return self._native.enqueue_many(bodies, copies, on_short, timeout_ms, headers)
        rest = asked(self._max_attempts, **terms)
        return self._native.enqueue_many(bodies, copies, on_short, timeout_ms, headers, None, *rest)

    def call(
        self,
        body: Buffer,
        *,
        timeout: Duration = CALL_TIMEOUT,
        copies: int | None = None,
        on_short: OnShort | None = None,
        headers: Headers | None = None,
        **terms: Unpack[Terms],
    ) -> Reply:
        """Puts a message into the queue and waits up to ``timeout`` for the reply of whoever handles it.

        The options are those of ``enqueue``; without a ``ttl`` it expires with the timeout. Errors: as enqueue, 201 with
        too many calls at a time, 302 when no reply came in time (it may still be handled).
        """
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        rest = asked(self._max_attempts, **terms)
        return self._native.call(body, millis(timeout), copies, on_short, self._timeout_ms, headers, None, *rest)

    def browse(self, **look: Unpack[Browse]) -> Page:
        """Looks at messages without taking them, at every member that answers in time; changes nothing.

        The options are those of ``primer.Browse``. A page may be shorter than ``max`` and not the last: that one has no
        cursor. Errors: 101, 203 with too many at a time, 501.
        """
        return self._native.browse(*looked(**look))

    def browse_all(self, **look: Unpack[Browse]) -> Iterator[Page]:
        """All pages one after the other, each asked for when it is wanted. Options and errors: as ``browse``."""
        page = self.browse(**look)
        yield page
        while page.cursor is not None:
            look["after"] = page.cursor
            page = self.browse(**look)
            yield page

    def redrive(self, **redrive: Unpack[Redrive]) -> Redriven:
        """Moves dead letters back to where they came from, at every member that answers in time.

        Each goes back to the group that it was in, with its own headers, and its attempts begin anew; it is gone here
        only when it is safe there. The options are those of ``primer.Redrive``: with ``to``, messages of any queue go to
        that one. Errors: 101, 203 with too many at a time, 501.
        """
        return self._native.redrive(*redriving(**redrive))

    def doctor(self) -> Diagnosis:
        """Why nothing is delivered: what every member that answers within two seconds knows, and what follows from that.

        Changes nothing. Errors: 203 with too many at a time, 501.
        """
        return self._native.doctor()

    def receive(
        self,
        *,
        wait: Duration = 0,
        lease: Duration | None = None,
        group: str | None = None,
        backlog: bool = False,
    ) -> Delivery | None:
        """Leases one message, waiting up to ``wait`` for it; None when there was none.

        ``group`` and ``backlog``: as ``subscribe``. Errors: 101, 201, 203, 501.
        """
        lease_ms = self._lease_ms if lease is None else millis(lease)
        leased = self._native.receive(1, millis(wait), lease_ms, None, group, backlog)
        return Delivery(leased[0]) if leased else None

    def receive_many(
        self,
        max: int,
        *,
        wait: Duration = 0,
        lease: Duration | None = None,
        group: str | None = None,
        backlog: bool = False,
    ) -> list[Delivery]:
        """Leases up to ``max`` messages, waiting up to ``wait`` for the first. Errors: as receive."""
        lease_ms = self._lease_ms if lease is None else millis(lease)
        leased = self._native.receive(max, millis(wait), lease_ms, None, group, backlog)
        return [Delivery(native) for native in leased]

    def ack_many(self, deliveries: Iterable[Delivery]) -> list[int]:
        """Acks up to 4,096; answers one number each, 0 or the error's (402). Errors: 101, 104, 501."""
        listed = list(deliveries)
        codes = self._native.ack_many([delivery._native for delivery in listed])
        for delivery, code in zip(listed, codes, strict=True):
            if code == 0:
                delivery._settled = "acked"
        return codes

    def subscribe(
        self,
        *,
        credit: int = 64,
        credit_bytes: int | None = None,
        lease: Duration | None = None,
        max_run: Duration | None = None,
        group: str | None = None,
        backlog: bool = False,
    ) -> Subscription:
        """Push: at most ``credit`` unsettled deliveries at a time, and none while their bodies are ``credit_bytes``.

        With ``max_run`` Primer itself extends their leases for so long, also while this interpreter is busy.
        In ``group``: its consumers share what comes to it. One that does not exist is created, with
        ``backlog`` as in ``create_group``. Errors: 101, 201, 203, 501.
        """
        lease_ms = self._lease_ms if lease is None else millis(lease)
        native = self._native.subscribe(credit, lease_ms, group, backlog, credit_bytes, millis_or_none(max_run))
        return Subscription(native, self._member)

    def create_group(self, group: str, *, backlog: bool = False) -> None:
        """Creates a named group: from now on each message goes to every group once.

        With ``backlog`` it gets what waits in the queue, too. One that exists stays. Errors: 101, 201, 203, 501.
        """
        self._native.create_group(group, backlog)

    def remove_group(self, group: str) -> None:
        """Removes a group with what it was still owed; one that is not there is no error. Errors: 203, 501."""
        self._native.remove_group(group)

    def groups(self) -> list[str]:
        """The names of the queue's groups as this member knows them, ascending. Errors: 501."""
        return self._native.groups()

    def configure(self, **settings: Unpack[Settings]) -> None:
        """Changes the queue's settings, for the whole cluster: here at once, elsewhere soon; None unsets one.

        They hold where a message or a call does not say. Those that are not named stay. Errors: 101, 104, 201, 203, 501.
        """
        self._native.configure(settings_pairs(settings))

    def configuration(self) -> dict[str, int | float | str]:
        """The settings that hold here: the queue's own, then those of its policy. Times in seconds. Errors: 501."""
        return settings_of(self._native.configuration())

    def pause(self, direction: Direction = "both") -> None:
        """Stops the queue for the whole cluster: "in" for producers (204), "out" for consumers, or "both".

        Who has a message keeps it. Errors: 101, 201, 203, 501.
        """
        self._native.pause(direction)

    def resume(self) -> None:
        """The queue goes on, in both directions. Errors: 201, 203, 501."""
        self._native.resume()

    def purge(self) -> None:
        """Ends everything that is in the queue and its groups by now, on every member, also what is leased.

        Errors: 201, 203, 501.
        """
        self._native.purge()

    def worker(
        self,
        handler: Handler,
        *,
        concurrency: int = 1,
        lease: Duration | None = None,
        credit_bytes: int | None = None,
        max_run: Duration = MAX_RUN,
        group: str | None = None,
        backlog: bool = False,
    ) -> Worker:
        """Calls ``handler`` for each message, ``concurrency`` at a time, each in a thread, from now on.

        Returning acks, and replies with the bytes it returns where somebody waits; an exception nacks with the
        back-off, ``primer.Reject`` makes a dead letter. The lease is kept for ``max_run``, also while this interpreter is busy.
        ``credit_bytes``, ``group`` and ``backlog`` are those of ``subscribe``. Errors: 101, 201, 203, 501.
        """
        credit = check(concurrency)
        subscription = self.subscribe(
            credit=credit, credit_bytes=credit_bytes, lease=lease, max_run=max_run, group=group, backlog=backlog
        )
        return Worker(subscription, handler, concurrency)

    def __repr__(self) -> str:
        return f"<primer.Queue {self._name!r}>"


class Subscription(Stream[Delivery]):
    """A stream of deliveries: ``for delivery in queue.subscribe()``.

    It ends when it or its member is closed. Leaving ``with`` closes it: what was not taken goes back.
    """

    __slots__ = ("_closed", "_native")

    def __init__(self, native: _primer.Subscription, member: _primer.Primer) -> None:
        super().__init__(member)
        self._native = native
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

    def __repr__(self) -> str:
        try:
            return f"<primer.Subscription queue={self.queue!r} {'closed' if self._closed else 'open'}>"
        except PrimerError as error:
            return f"<primer.Subscription {error.reason or error.kind}>"
