"""What is read item by item: the sync streams, and among them the readers of news.

News are events of the cluster, a topic's broadcasts, changes of keys. A reader that is let go of hears nothing
more, as a closed one.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from ._durations import Duration, millis_or_none
from ._errors import MemberDown, PrimerError, is_end
from ._values import Broadcast, Change, Event

if TYPE_CHECKING:
    from . import _primer

Item = TypeVar("Item")


class Native(Protocol[Item]):
    """What the native readers have in common here."""

    def take(self, max: int) -> list[Item]: ...
    def next(self, wait_ms: int | None = None) -> Item | None: ...
    def missed(self) -> int: ...
    def close(self) -> None: ...


class Stream(abc.ABC, Generic[Item]):
    """Items until it or its member is closed: ``for item in stream``. Leaving ``with`` closes it."""

    __slots__ = ("_member",)

    def __init__(self, member: _primer.Primer) -> None:
        self._member = member

    @abc.abstractmethod
    def next(self, wait: Duration | None = None) -> Item | None:
        """The next item, waiting up to ``wait`` (none: no limit); None in vain. Errors: 501 at its end."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends it. Idempotent."""

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            item = self.next()
        except MemberDown as error:
            if is_end(error):
                raise StopIteration from None
            raise
        assert item is not None, "a wait without a limit ends in an item or an error"
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A forked child that leaves its parent's block has nothing of its own to close.
        if not self._member.is_forked():
            self.close()


class Reader(Stream[Item]):
    """News from the moment it was made: ``for item in reader``. See its kinds."""

    __slots__ = ("_native",)

    def __init__(self, native: Native[Item], member: _primer.Primer) -> None:
        super().__init__(member)
        self._native = native

    def take(self, max: int = 1024) -> list[Item]:
        """Up to ``max`` items that are here already."""
        return self._native.take(max)

    def next(self, wait: Duration | None = None) -> Item | None:
        """The next one, waiting up to ``wait`` (none: no limit); None in vain.

        Errors: 501 when it or its member is closed and everything was read.
        """
        return self._native.next(millis_or_none(wait))

    @property
    def missed(self) -> int:
        """Items that this reader has missed so far, because it was too far behind."""
        return self._native.missed()

    def close(self) -> None:
        """Hears nothing more; who waits gets 501. What is here can still be read. Idempotent."""
        self._native.close()

    def __repr__(self) -> str:
        return f"<primer.{describe(self)}>"


def describe(reader: object, name: str | None = None) -> str:
    """A reader's repr without its module; ``name`` is what it listens to."""
    kind = type(reader).__name__ + ("" if name is None else f" {name!r}")
    try:
        return f"{kind} missed={reader.missed}"  # type: ignore[attr-defined]  # both faces' readers have it
    except PrimerError as error:
        return f"{kind} {error.reason or error.kind}"


class Events(Reader[Event]):
    """A reader of a member's events, from the moment it was made: ``for event in node.events()``.

    It ends when the member is closed. A reader more than 1,024 behind misses the oldest.
    """

    __slots__ = ()


class Topic(Reader[Broadcast]):
    """What is broadcast to a topic, from the moment it was made: ``for message in node.on("chat")``.

    It ends when it or its member is closed. A reader more than 1,024 items or 8 MiB behind misses the oldest.
    """

    __slots__ = ("topic",)

    topic: str
    """The topic's name."""

    def __init__(self, native: Native[Broadcast], member: _primer.Primer, topic: str) -> None:
        super().__init__(native, member)
        self.topic = topic

    def __repr__(self) -> str:
        return f"<primer.{describe(self, self.topic)}>"


class Watch(Reader[Change]):
    """Changes of keys with a prefix, from the moment it was made: ``for change in node.watch("jobs/")``.

    It ends when it or its member is closed. A reader more than 1,024 items or 8 MiB behind misses the oldest.
    """

    __slots__ = ("prefix",)

    prefix: str
    """How the keys begin."""

    def __init__(self, native: Native[Change], member: _primer.Primer, prefix: str) -> None:
        super().__init__(native, member)
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"<primer.{describe(self, self.prefix)}>"
