"""The asyncio face: the names of ``primer``, awaited.

Every verb is awaited, except those that only make a handle (``queue``, ``subscribe``, ``worker``, ``events``,
``on``, ``watch``) and ``take``. An answer that is here already does not go through the loop. A cancelled wait
gives its message back. A member may be used from several loops in several threads.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from . import _primer
from ._bridge import Loops
from ._delivery_aio import Delivery
from ._durations import Duration, millis, millis_or_none
from ._errors import PrimerError
from ._lifetime import watch
from ._node import CALL_TIMEOUT, describe
from ._options import Browse, Headers, OnShort, Options, Redrive, Terms, asked, looked, pairs, redriving, secrets_of
from ._readers_aio import Events, Stream, Topic, Watch
from ._settings import Direction, Settings, settings_of, settings_pairs
from ._workers import MAX_RUN, check
from ._workers_aio import Handler, Worker

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._values import Diagnosis, Entry, Explanation, Member, Page, Redriven, Reply

__all__ = ["Delivery", "Events", "Primer", "Queue", "Subscription", "Topic", "Watch", "Worker", "open", "start"]


def open(**options: Unpack[Options]) -> Opening:
    """``async with primer.aio.open() as node``, or ``node = await primer.aio.open()``. As ``primer.open``."""
    return Opening(options)


def start(**options: Unpack[Options]) -> Primer:
    """As :func:`open`, without waiting for a seed."""
    native = _primer.Primer.start(pairs(options))
    watch(native)
    return Primer(native, options.get("cluster", "default"))


class Opening:
    """A member that opens when it is awaited or entered."""

    __slots__ = ("_node", "_options")

    def __init__(self, options: Options) -> None:
        self._options = options
        self._node: Primer | None = None

    async def _open(self) -> Primer:
        node = start(**self._options)
        try:
            await node.joined()
        except BaseException:
            await node.close()
            raise
        return node

    def __await__(self) -> Generator[Any, None, Primer]:
        return self._open().__await__()

    async def __aenter__(self) -> Primer:
        self._node = await self._open()
        return self._node

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._node is not None:
            await self._node.__aexit__(kind, error, trace)


class Primer:
    """This process's place in a cluster. See ``primer.Primer``."""

    __slots__ = ("__weakref__", "_cluster", "_loops", "_native")

    def __init__(self, native: _primer.Primer, cluster: str) -> None:
        self._native = native
        self._cluster = cluster
        self._loops = Loops(native)

    async def joined(self) -> None:
        """Waits until a seed answered, or none is configured, or two seconds passed."""
        bridge = self._loops.here()
        answer = self._native.joined(bridge.native)
        if answer is not None:
            await bridge.late(answer)

    async def join(self, address: str) -> None:
        """Dials ``address`` ("host:port") and joins its cluster. Errors: 101, 107, 108, 202, 302, 501."""
        bridge = self._loops.here()
        answer = self._native.join(address, bridge.native)
        if answer is not None:
            await bridge.late(answer)

    async def leave(self, *, drain: Duration | None = None, force: bool = False) -> None:
        """Hands every copy to other members and leaves the cluster. Errors: 205, 501."""
        bridge = self._loops.here()
        answer = self._native.leave(millis_or_none(drain), force, bridge.native)
        if answer is not None:
            await bridge.late(answer)

    async def close(self) -> None:
        """Closes this member: waiters answer 501. Idempotent."""
        bridge = self._loops.here()
        answer = self._native.close(bridge.native)
        if answer is not None:
            await bridge.late(answer)
        self._loops.retire()

    @property
    def is_closed(self) -> bool:
        """True once it was closed or failed."""
        return self._native.is_closed()

    @property
    def address(self) -> str | None:
        """Where it listens, "127.0.0.1:port"; None when it does not."""
        return self._native.address()

    async def members(self) -> builtins.list[Member]:
        """The member set, this one included, in the order of their ids. Errors: 501."""
        return self._native.members()

    async def stats(self) -> dict[str, int]:
        """Counters and gauges by stable names. Errors: 501."""
        return self._native.stats()

    async def explain(self, id: str) -> Explanation:
        """What every member knows of a message. See ``primer.Primer.explain``. Errors: 101, 203, 501."""
        bridge = self._loops.here()
        answer = self._native.explain(id, bridge.native)
        if isinstance(answer, int):
            return cast("Explanation", await bridge.late(answer))
        return answer

    def events(self) -> Events:
        """A reader of events from now on: ``async for event in node.events()``."""
        return Events(self._native.events(), self._loops)

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
        """The queue of that name; the options are this handle's defaults. Errors: 101, 201, 501."""
        native = self._native.queue(name)
        spans = millis_or_none(timeout), millis_or_none(lease)
        return Queue(native, self._loops, copies, on_short, *spans, max_attempts)

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

    async def evict(self, member: str) -> None:
        """Takes a member out of the set for good, by its id: it is refused until it has joined afresh.

        It deletes nothing: what it holds is set aside there, see :meth:`reclaim`. For those that will not
        come back, and those that must not. Errors: 101 for this member itself, 102 for none of the set, 501.
        """
        self._native.evict(member)

    async def reclaim(self, *, keep: bool) -> int:
        """After this member was evicted: gives the messages that it set aside out again, or drops them.

        Answers how many; some may have been done elsewhere meanwhile. Errors: 501.
        """
        return self._native.reclaim(keep)

    async def rotate(self, secrets: str | Iterable[str]) -> None:
        """Takes these secrets instead of those it has, one to three, from now on; links that are up stay.

        Give every member the old and the new one, in any order, then every member the new one alone.
        Errors: 101 for none, too many or a weak one, 106 for a member that was opened without, 501.
        """
        self._native.rotate(secrets_of(secrets))

    async def broadcast(self, topic: str, body: Buffer) -> None:
        """Tells everyone who listens to ``topic``, this member included: at once, best effort.

        Nothing is stored and nobody answers. Errors: 101, 104 (64 KiB), 203 (too much at a time), 501.
        """
        self._native.broadcast(topic, body)

    def on(self, topic: str) -> Topic:
        """A reader of what is broadcast to ``topic`` from now on: ``async for message in node.on("chat")``.

        Errors: 101.
        """
        return Topic(self._native.on(topic), self._loops, topic)

    async def put(self, key: str, value: Buffer) -> None:
        """Writes ``value`` under ``key`` for the whole cluster: here at once, elsewhere soon.

        Of two writes that did not know of each other the later one is read, and :meth:`list` shows both.
        Errors: 101, 104 (64 KiB), 201 (100,000 keys), 203 (200 writes a second), 501.
        """
        self._native.put(key, value)

    async def get(self, key: str) -> bytes | None:
        """What is under ``key`` as this member knows it; None when nothing is. Errors: 501."""
        return self._native.get(key)

    async def delete(self, key: str) -> None:
        """Removes ``key`` for the whole cluster; one that is not there is no error. Errors: 101, 203, 501."""
        self._native.delete(key)

    async def list(self, prefix: str = "") -> builtins.list[Entry]:
        """The keys that begin with ``prefix``, ascending, with their values. Errors: 501."""
        return self._native.list(prefix)

    def watch(self, prefix: str = "") -> Watch:
        """A reader of changes of the keys that begin with ``prefix``: ``async for change in node.watch("jobs/")``."""
        return Watch(self._native.watch(prefix), self._loops, prefix)

    async def set_policy(self, prefix: str, **settings: Unpack[Settings]) -> None:
        """Settings for every queue whose name begins with ``prefix`` ("" for all), in place of those before.

        The longest prefix counts, whole; a queue's own settings are above it. Errors: 101, 104, 201, 203, 501.
        """
        self._native.set_policy(prefix, settings_pairs(settings))

    async def remove_policy(self, prefix: str) -> None:
        """Removes a policy; one that is not there is no error. Errors: 203, 501."""
        self._native.remove_policy(prefix)

    async def policies(self) -> dict[str, dict[str, int | float | str]]:
        """The policies as this member knows them, by their prefixes. Errors: 501."""
        return {prefix: settings_of(pairs) for prefix, pairs in self._native.policies()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._native.is_forked():
            await self.close()

    def __repr__(self) -> str:
        return describe(self._native, "primer.aio.Primer", self._cluster)


class Queue:
    """A best-effort-order queue, as seen from this member. See ``primer.Queue``."""

    __slots__ = ("_copies", "_lease_ms", "_loops", "_max_attempts", "_name", "_native", "_on_short", "_timeout_ms")

    def __init__(
        self,
        native: _primer.Queue,
        loops: Loops,
        copies: int | None,
        on_short: OnShort | None,
        timeout_ms: int | None,
        lease_ms: int | None,
        max_attempts: int | None,
    ) -> None:
        self._native = native
        self._loops = loops
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

    async def enqueue(
        self,
        body: Buffer,
        *,
        copies: int | None = None,
        on_short: OnShort | None = None,
        timeout: Duration | None = None,
        headers: Headers | None = None,
        **terms: Unpack[Terms],
    ) -> _primer.Receipt:
        """Puts a message into the queue; answers when its copies are there. Cancelled, it is in doubt.

        The options are those of ``primer.Queue.enqueue``. Errors: 101, 102, 104, 201, 202, 203, 204, 301, 302, 501.
        """
        bridge = self._loops.here()
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        timeout_ms = self._timeout_ms if timeout is None else millis(timeout)
        if not terms and self._max_attempts is None:
            answer = self._native.enqueue(body, copies, on_short, timeout_ms, headers, bridge.native)
        else:
            rest = asked(self._max_attempts, **terms)
            answer = self._native.enqueue(body, copies, on_short, timeout_ms, headers, bridge.native, *rest)
        if isinstance(answer, int):
            return cast(_primer.Receipt, await bridge.late(answer))
        return answer

    async def enqueue_many(
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
        bridge = self._loops.here()
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        timeout_ms = self._timeout_ms if timeout is None else millis(timeout)
        if not terms and self._max_attempts is None:
            answer = self._native.enqueue_many(bodies, copies, on_short, timeout_ms, headers, bridge.native)
        else:
            rest = asked(self._max_attempts, **terms)
            answer = self._native.enqueue_many(bodies, copies, on_short, timeout_ms, headers, bridge.native, *rest)
        if isinstance(answer, int):
            return cast(list[_primer.Receipt], await bridge.late(answer))
        return answer

    async def call(
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

        Cancelled, it may still be handled. See ``primer.Queue.call``. Errors: as enqueue, 302 when none came in time.
        """
        bridge = self._loops.here()
        copies = self._copies if copies is None else copies
        on_short = self._on_short if on_short is None else on_short
        rest = asked(self._max_attempts, **terms)
        patience, own = millis(timeout), self._timeout_ms
        answer = self._native.call(body, patience, copies, on_short, own, headers, bridge.native, *rest)
        if isinstance(answer, int):
            return cast("Reply", await bridge.late(answer))
        return answer

    async def browse(self, **look: Unpack[Browse]) -> Page:
        """Looks at messages without taking them. See ``primer.Queue.browse``. Errors: 101, 203, 501."""
        bridge = self._loops.here()
        answer = self._native.browse(*looked(**look), bridge.native)
        if isinstance(answer, int):
            return cast("Page", await bridge.late(answer))
        return answer

    async def browse_all(self, **look: Unpack[Browse]) -> AsyncIterator[Page]:
        """All pages one after the other, each asked for when it is wanted. Options and errors: as ``browse``."""
        page = await self.browse(**look)
        yield page
        while page.cursor is not None:
            look["after"] = page.cursor
            page = await self.browse(**look)
            yield page

    async def redrive(self, **redrive: Unpack[Redrive]) -> Redriven:
        """Moves dead letters back to where they came from. See ``primer.Queue.redrive``. Errors: 101, 203, 501."""
        bridge = self._loops.here()
        answer = self._native.redrive(*redriving(**redrive), bridge.native)
        if isinstance(answer, int):
            return cast("Redriven", await bridge.late(answer))
        return answer

    async def doctor(self) -> Diagnosis:
        """Why nothing is delivered. See ``primer.Queue.doctor``. Errors: 203, 501."""
        bridge = self._loops.here()
        answer = self._native.doctor(bridge.native)
        if isinstance(answer, int):
            return cast("Diagnosis", await bridge.late(answer))
        return answer

    async def receive(
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
        leased = await self.receive_many(1, wait=wait, lease=lease, group=group, backlog=backlog)
        return leased[0] if leased else None

    async def receive_many(
        self,
        max: int,
        *,
        wait: Duration = 0,
        lease: Duration | None = None,
        group: str | None = None,
        backlog: bool = False,
    ) -> list[Delivery]:
        """Leases up to ``max`` messages, waiting up to ``wait`` for the first. Errors: as receive."""
        bridge = self._loops.here()
        lease_ms = self._lease_ms if lease is None else millis(lease)
        answer = self._native.receive(max, millis(wait), lease_ms, bridge.native, group, backlog)
        if isinstance(answer, int):
            answer = cast(list[_primer.Delivery], await bridge.late(answer))
        loops = self._loops
        return [Delivery(native, loops) for native in answer]

    async def ack_many(self, deliveries: Iterable[Delivery]) -> list[int]:
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
        return Subscription(native, self._loops)

    async def create_group(self, group: str, *, backlog: bool = False) -> None:
        """Creates a named group: from now on each message goes to every group once.

        With ``backlog`` it gets what waits in the queue, too. One that exists stays. Errors: 101, 201, 203, 501.
        """
        self._native.create_group(group, backlog)

    async def remove_group(self, group: str) -> None:
        """Removes a group with what it was still owed; one that is not there is no error. Errors: 203, 501."""
        self._native.remove_group(group)

    async def groups(self) -> list[str]:
        """The names of the queue's groups as this member knows them, ascending. Errors: 501."""
        return self._native.groups()

    async def configure(self, **settings: Unpack[Settings]) -> None:
        """Changes the queue's settings, for the whole cluster: here at once, elsewhere soon; None unsets one.

        They hold where a message or a call does not say. Those that are not named stay. Errors: 101, 104, 201, 203, 501.
        """
        self._native.configure(settings_pairs(settings))

    async def configuration(self) -> dict[str, int | float | str]:
        """The settings that hold here: the queue's own, then those of its policy. Times in seconds. Errors: 501."""
        return settings_of(self._native.configuration())

    async def pause(self, direction: Direction = "both") -> None:
        """Stops the queue for the whole cluster: "in" for producers (204), "out" for consumers, or "both".

        Who has a message keeps it. Errors: 101, 201, 203, 501.
        """
        self._native.pause(direction)

    async def resume(self) -> None:
        """The queue goes on, in both directions. Errors: 201, 203, 501."""
        self._native.resume()

    async def purge(self) -> None:
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
        """Calls ``handler`` for each message, ``concurrency`` at a time, each in a task, from now on.

        Returning acks, and replies with the bytes it returns where somebody waits; an exception nacks with the
        back-off, ``primer.Reject`` makes a dead letter. The lease is kept for ``max_run``, also while this loop is blocked.
        ``credit_bytes``, ``group`` and ``backlog`` are those of ``subscribe``. Errors: 101, 201, 203, 501.
        """
        credit = check(concurrency)
        subscription = self.subscribe(
            credit=credit, credit_bytes=credit_bytes, lease=lease, max_run=max_run, group=group, backlog=backlog
        )
        return Worker(subscription, handler, concurrency)

    def __repr__(self) -> str:
        return f"<primer.aio.Queue {self._name!r}>"


class Subscription(Stream[Delivery]):
    """A stream of deliveries: ``async for delivery in queue.subscribe()``. See ``primer.Subscription``."""

    __slots__ = ("_closed", "_native")

    def __init__(self, native: _primer.Subscription, loops: Loops) -> None:
        super().__init__(loops)
        self._native = native
        self._closed = False

    @property
    def queue(self) -> str:
        """The name of the queue it reads."""
        return self._native.queue

    async def _next(self) -> Delivery:
        bridge = self._loops.here()
        answer = self._native.next(None, bridge.native)
        if isinstance(answer, int):
            answer = cast(_primer.Delivery, await bridge.late(answer))
        return Delivery(answer, self._loops)

    async def credit(self, more: int) -> None:
        """Raises the number of unsettled deliveries. Errors: 101, 501."""
        self._native.credit(more)

    async def close(self) -> None:
        """Ends it. What was taken stays leased. Idempotent."""
        self._native.close()
        self._closed = True

    def __repr__(self) -> str:
        try:
            return f"<primer.aio.Subscription queue={self.queue!r} {'closed' if self._closed else 'open'}>"
        except PrimerError as error:
            return f"<primer.aio.Subscription {error.reason or error.kind}>"
