"""The asyncio face: the names of ``primer``, awaited.

Every verb is awaited, except those that only make a handle: ``queue``, ``subscribe``, ``events``.
An answer that is here already does not go through the loop. A cancelled wait gives its message back.
A member may be used from several loops in several threads.
"""

from __future__ import annotations

import asyncio
import collections
import weakref
from collections.abc import AsyncIterator, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from . import _primer
from ._bridge import Bridge
from ._delivery import BaseDelivery
from ._durations import Duration, millis, millis_or_none
from ._errors import MemberDown, PrimerError, is_end
from ._lifetime import watch
from ._node import Headers, describe
from ._options import OnShort, Options, pairs

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._values import Event, Member

__all__ = ["Delivery", "Events", "Primer", "Queue", "Subscription", "open", "start"]


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


class _Loops:
    """The bridges of one member, one for each loop that uses it. Its handles keep it, and so the member, open."""

    __slots__ = ("_bridges", "_last", "_member")

    def __init__(self, member: _primer.Primer) -> None:
        self._member = member
        self._bridges: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge] = weakref.WeakKeyDictionary()
        self._last: Bridge | None = None

    def here(self) -> Bridge:
        """The running loop's. Errors: RuntimeError without one."""
        loop = asyncio.get_running_loop()
        last = self._last
        if last is not None and last.serves(loop):
            return last
        bridge = self._bridges.get(loop)
        if bridge is None:
            bridge = self._bridges[loop] = Bridge(loop)
        self._last = bridge
        return bridge

    def retire(self) -> None:
        """Lets every loop go: each stops watching when its last answer has come."""
        here = asyncio.get_running_loop()
        for loop, bridge in list(self._bridges.items()):
            if loop is here:
                bridge.retire()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(bridge.retire)


class Primer:
    """This process's place in a cluster. See ``primer.Primer``."""

    __slots__ = ("__weakref__", "_cluster", "_loops", "_native")

    def __init__(self, native: _primer.Primer, cluster: str) -> None:
        self._native = native
        self._cluster = cluster
        self._loops = _Loops(native)

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

    async def members(self) -> list[Member]:
        """The member set, this one included, in the order of their ids. Errors: 501."""
        return self._native.members()

    async def stats(self) -> dict[str, int]:
        """Counters and gauges by stable names. Errors: 501."""
        return self._native.stats()

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
    ) -> Queue:
        """The queue of that name; the options are this handle's defaults. Errors: 101, 201, 501."""
        native = self._native.queue(name)
        return Queue(native, self._loops, copies, on_short, millis_or_none(timeout), millis_or_none(lease))

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

    __slots__ = ("_copies", "_lease_ms", "_loops", "_name", "_native", "_on_short", "_timeout_ms")

    def __init__(
        self,
        native: _primer.Queue,
        loops: _Loops,
        copies: int | None,
        on_short: OnShort | None,
        timeout_ms: int | None,
        lease_ms: int | None,
    ) -> None:
        self._native = native
        self._loops = loops
        self._name = native.name
        self._copies = copies
        self._on_short = on_short
        self._timeout_ms = timeout_ms
        self._lease_ms = lease_ms

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
    ) -> _primer.Receipt:
        """Puts a message into the queue; answers when its copies are there. Cancelled, it is in doubt.

        Errors: 101, 104, 201, 202, 203, 301, 501.
        """
        bridge = self._loops.here()
        answer = self._native.enqueue(
            body,
            self._copies if copies is None else copies,
            self._on_short if on_short is None else on_short,
            self._timeout_ms if timeout is None else millis(timeout),
            headers,
            bridge.native,
        )
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
    ) -> list[_primer.Receipt]:
        """Puts several messages into the queue, all or none; they share the options. Errors: as enqueue."""
        bridge = self._loops.here()
        answer = self._native.enqueue_many(
            bodies,
            self._copies if copies is None else copies,
            self._on_short if on_short is None else on_short,
            self._timeout_ms if timeout is None else millis(timeout),
            headers,
            bridge.native,
        )
        if isinstance(answer, int):
            return cast(list[_primer.Receipt], await bridge.late(answer))
        return answer

    async def receive(self, *, wait: Duration = 0, lease: Duration | None = None) -> Delivery | None:
        """Leases one message, waiting up to ``wait`` for it; None when there was none. Errors: 101, 501."""
        leased = await self.receive_many(1, wait=wait, lease=lease)
        return leased[0] if leased else None

    async def receive_many(
        self, max: int, *, wait: Duration = 0, lease: Duration | None = None
    ) -> list[Delivery]:
        """Leases up to ``max`` messages, waiting up to ``wait`` for the first. Errors: 101, 501."""
        bridge = self._loops.here()
        lease_ms = self._lease_ms if lease is None else millis(lease)
        answer = self._native.receive(max, millis(wait), lease_ms, bridge.native)
        if isinstance(answer, int):
            answer = cast(list[_primer.Delivery], await bridge.late(answer))
        loops = self._loops
        return [Delivery(native, loops) for native in answer]

    async def ack_many(self, deliveries: Iterable[Delivery]) -> list[int]:
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
        return Subscription(self._native.subscribe(credit, lease_ms), self._loops)

    def __repr__(self) -> str:
        return f"<primer.aio.Queue {self._name!r}>"


class Delivery(BaseDelivery):
    """A message on lease.

    ``async with delivery:`` settles it: leaving acks, an exception nacks (with the back-off), and
    what is no failure of the message (a cancelled task, KeyboardInterrupt) releases it.
    """

    __slots__ = ("_loops",)

    def __init__(self, native: _primer.Delivery, loops: _Loops) -> None:
        super().__init__(native)
        self._loops = loops

    async def ack(self) -> None:
        """The message is finished. Errors: 402 when it was already, 501."""
        self._native.ack()
        self._settled = "acked"

    async def nack(self, delay: Duration | None = None) -> None:
        """It failed: again after ``delay`` (none: a back-off). Errors: 101, 202, 302, 401, 402, 501."""
        bridge = self._loops.here()
        answer = self._native.nack(millis_or_none(delay), bridge.native)
        if answer is not None:
            await bridge.late(answer)
        self._settled = "nacked"

    async def release(self) -> None:
        """It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack."""
        bridge = self._loops.here()
        answer = self._native.release(bridge.native)
        if answer is not None:
            await bridge.late(answer)
        self._settled = "released"

    async def extend(self, lease: Duration | None = None) -> None:
        """It needs ``lease`` from now on (none: the member's default). Errors: as nack."""
        bridge = self._loops.here()
        answer = self._native.extend(millis_or_none(lease), bridge.native)
        if answer is not None:
            await bridge.late(answer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled:
            return
        if error is None:
            await self.ack()
            return
        try:
            if isinstance(error, Exception):
                await self.nack()
            else:
                # Sent at once; a cancelled task should not wait for the answer.
                self._native.release(self._loops.here().native)
                self._settled = "released"
        except PrimerError as trouble:
            error.add_note(f"primer: the message was not handed back: {trouble}")


class Subscription:
    """A stream of deliveries: ``async for delivery in queue.subscribe()``. See ``primer.Subscription``."""

    __slots__ = ("_closed", "_loops", "_native")

    def __init__(self, native: _primer.Subscription, loops: _Loops) -> None:
        self._native = native
        self._loops = loops
        self._closed = False

    @property
    def queue(self) -> str:
        """The name of the queue it reads."""
        return self._native.queue

    async def next(self, wait: Duration | None = None) -> Delivery | None:
        """The next delivery, waiting up to ``wait`` (none: no limit); None in vain. Errors: 501."""
        limit = None if wait is None else millis(wait) / 1000
        try:
            async with asyncio.timeout(limit):
                return await self._next()
        except TimeoutError:
            return None

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

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        try:
            return await self._next()
        except MemberDown as error:
            if is_end(error):
                raise StopAsyncIteration from None
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        try:
            return f"<primer.aio.Subscription queue={self.queue!r} {'closed' if self._closed else 'open'}>"
        except PrimerError as error:
            return f"<primer.aio.Subscription {error.reason or error.kind}>"


class Events:
    """A reader of a member's events: ``async for event in node.events()``. See ``primer.Events``."""

    __slots__ = ("_loops", "_native", "_unread")

    def __init__(self, native: _primer.Events, loops: _Loops) -> None:
        self._native = native
        self._loops = loops
        # Events that came for a wait that was cancelled: they must not be lost to the next one.
        self._unread: collections.deque[Event] = collections.deque()

    def take(self, max: int = 1024) -> list[Event]:
        """Up to ``max`` events that are here already."""
        unread = [self._unread.popleft() for _ in range(min(max, len(self._unread)))]
        return unread + self._native.take(max - len(unread))

    async def next(self, wait: Duration | None = None) -> Event | None:
        """The next event, waiting up to ``wait`` (none: no limit); None in vain. Errors: 501."""
        limit = None if wait is None else millis(wait) / 1000
        try:
            async with asyncio.timeout(limit):
                return await self._next()
        except TimeoutError:
            return None

    async def _next(self) -> Event:
        if self._unread:
            return self._unread.popleft()
        bridge = self._loops.here()
        answer = self._native.next(None, bridge.native)
        if isinstance(answer, int):
            return cast("Event", await bridge.late(answer, self._unread.append))
        return answer

    @property
    def missed(self) -> int:
        """Events that this reader has missed so far."""
        return self._native.missed()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._next()
        except MemberDown as error:
            if is_end(error):
                raise StopAsyncIteration from None
            raise

    def __repr__(self) -> str:
        try:
            return f"<primer.aio.Events missed={self.missed}>"
        except PrimerError as error:
            return f"<primer.aio.Events {error.reason or error.kind}>"
