"""The asyncio streams, and among them the readers of news; the sync ones' names, awaited."""

from __future__ import annotations

import abc
import asyncio
import collections
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar, cast, overload

from ._durations import Duration, millis
from ._errors import MemberDown, is_end
from ._readers import describe
from ._values import Broadcast, Change, Event

if TYPE_CHECKING:
    from . import _primer
    from ._bridge import Bridge, Loops

Item = TypeVar("Item")


class Native(Protocol[Item]):
    """What the native readers have in common here."""

    def take(self, max: int) -> list[Item]: ...
    @overload
    def next(self, wait_ms: int | None = None, on: None = None) -> Item | None: ...
    @overload
    def next(self, wait_ms: None, on: _primer.Completions) -> Item | int: ...
    def missed(self) -> int: ...
    def close(self) -> None: ...


class Stream(abc.ABC, Generic[Item]):
    """Items until it or its member is closed: ``async for item in stream``. Leaving ``async with`` closes it."""

    __slots__ = ("_loops",)

    def __init__(self, loops: Loops) -> None:
        self._loops = loops

    async def next(self, wait: Duration | None = None) -> Item | None:
        """The next item, waiting up to ``wait`` (none: no limit); None in vain.

        Errors: 501 when it or its member is closed and nothing is left in it.
        """
        limit = None if wait is None else millis(wait) / 1000
        try:
            async with asyncio.timeout(limit):
                return await self._next()
        except TimeoutError:
            return None

    @abc.abstractmethod
    async def _next(self) -> Item:
        """The next item, however long it takes. Cancelled, it takes none."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Ends it. Idempotent."""

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
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
        if not self._loops.is_forked():
            await self.close()


class Reader(Stream[Item]):
    """News from the moment it was made: ``async for item in reader``. See its kinds."""

    __slots__ = ("_native", "_unread", "_waits")

    def __init__(self, native: Native[Item], loops: Loops) -> None:
        super().__init__(loops)
        self._native = native
        # Items that came for a wait that was cancelled: they must not be lost to the next one.
        self._unread: collections.deque[Item] = collections.deque()
        # Who waits now, in their order.
        self._waits: collections.deque[tuple[Bridge, int]] = collections.deque()

    def take(self, max: int = 1024) -> list[Item]:
        """Up to ``max`` items that are here already."""
        unread = [self._unread.popleft() for _ in range(min(max, len(self._unread)))]
        return unread + self._native.take(max - len(unread))

    async def _next(self) -> Item:
        if self._unread:
            return self._unread.popleft()
        bridge = self._loops.here()
        answer = self._native.next(None, bridge.native)
        if not isinstance(answer, int):
            return answer
        wait = bridge, answer
        self._waits.append(wait)
        try:
            return cast(Item, await bridge.late(answer, self._give_back))
        finally:
            self._waits.remove(wait)

    def _give_back(self, item: Item) -> None:
        here = self._loops.here()
        if not any(bridge is here and bridge.hand(ticket, item) for bridge, ticket in self._waits):
            self._unread.append(item)

    @property
    def missed(self) -> int:
        """Items that this reader has missed so far, because it was too far behind."""
        return self._native.missed()

    async def close(self) -> None:
        """Hears nothing more; who waits gets 501. What is here can still be read. Idempotent."""
        self._native.close()

    def __repr__(self) -> str:
        return f"<primer.aio.{describe(self)}>"


class Events(Reader[Event]):
    """A reader of a member's events: ``async for event in node.events()``. See ``primer.Events``."""

    __slots__ = ()


class Topic(Reader[Broadcast]):
    """What is broadcast to a topic: ``async for message in node.on("chat")``. See ``primer.Topic``."""

    __slots__ = ("topic",)

    topic: str
    """The topic's name."""

    def __init__(self, native: Native[Broadcast], loops: Loops, topic: str) -> None:
        super().__init__(native, loops)
        self.topic = topic

    def __repr__(self) -> str:
        return f"<primer.aio.{describe(self, self.topic)}>"


class Watch(Reader[Change]):
    """Changes of keys with a prefix: ``async for change in node.watch("jobs/")``. See ``primer.Watch``."""

    __slots__ = ("prefix",)

    prefix: str
    """How the keys begin."""

    def __init__(self, native: Native[Change], loops: Loops, prefix: str) -> None:
        super().__init__(native, loops)
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"<primer.aio.{describe(self, self.prefix)}>"
