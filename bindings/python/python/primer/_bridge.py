"""How late answers reach event loops: one queue of them for each member and loop.

The loop watches the queue's descriptor and drains it, so no thread of Primer's ever enters Python,
and a burst of answers costs one wake-up. An answer that nobody waits for any more goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from typing import Any

from . import _primer
from ._errors import PrimerError

_BATCH = 1024


class Bridge:
    """The late answers of one member for one event loop. Used on that loop's thread only."""

    __slots__ = ("_is_retired", "_is_watching", "_loop", "_waiting", "native")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.native = _primer.Completions()
        # The loop holds this bridge by its reader; holding it back would keep both for ever.
        self._loop = weakref.ref(loop)
        self._waiting: dict[int, tuple[asyncio.Future[Any], Callable[[Any], object]]] = {}
        self._is_retired = False
        self._is_watching = False

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """True when it was made for this loop."""
        return self._loop() is loop

    async def late(self, ticket: int, give_back: Callable[[Any], object] | None = None) -> Any:
        """The answer of that ticket. Cancelled, ``give_back`` gets it if it came all the same."""
        loop = asyncio.get_running_loop()
        if not self._is_watching:
            loop.add_reader(self.native.descriptor(), self._drain)
            self._is_watching = True
        future = loop.create_future()
        give_back = give_back or self.release
        self._waiting[ticket] = future, give_back
        try:
            return await future
        except asyncio.CancelledError:
            if ticket not in self._waiting:
                # It was answered, and the task was cancelled before it could look.
                if not future.cancelled() and future.exception() is None:
                    give_back(future.result())
            elif self.native.cancel(ticket):
                del self._waiting[ticket]
            else:
                # The answer is here, or a step away in a thread of Primer's, which waits for nobody. It
                # is given back, because the future is cancelled, before anyone asks for the next one.
                while ticket in self._waiting:
                    self._drain()
            raise

    def hand(self, ticket: int, value: object) -> bool:
        """Answers a ticket with what another one gave back; False when it has its answer already."""
        waiting = self._waiting.get(ticket)
        if waiting is None or waiting[0].done() or not self.native.cancel(ticket):
            return False
        del self._waiting[ticket]
        waiting[0].set_result(value)
        return True

    def release(self, value: object) -> None:
        """Gives deliveries back that nobody will look at: at once, the attempt not counted."""
        for delivery in value if isinstance(value, list) else [value]:
            if isinstance(delivery, _primer.Delivery):
                with contextlib.suppress(PrimerError):
                    # It is sent when it is called; its own answer is for nobody.
                    delivery.release(self.native)

    def retire(self) -> None:
        """Stops watching once everything that was asked for is answered: the member is closed."""
        self._is_retired = True
        self._drain()

    def _drain(self) -> None:
        answers = self.native.drain(_BATCH)
        for ticket, value in answers:
            waiting = self._waiting.pop(ticket, None)
            if waiting is None:
                continue
            future, give_back = waiting
            if future.done():
                if not isinstance(value, BaseException):
                    give_back(value)
            elif isinstance(value, BaseException):
                future.set_exception(value)
            else:
                future.set_result(value)
        if self._is_retired and self._is_watching and not self._waiting and len(answers) < _BATCH:
            loop = self._loop()
            if loop is not None and not loop.is_closed():
                loop.remove_reader(self.native.descriptor())
                self._is_watching = False


class Loops:
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

    def is_forked(self) -> bool:
        """True in a forked child, which has nothing of its own to close."""
        return self._member.is_forked()

    def retire(self) -> None:
        """Lets every loop go: each stops watching when its last answer has come."""
        here = asyncio.get_running_loop()
        for loop, bridge in list(self._bridges.items()):
            if loop is here:
                bridge.retire()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(bridge.retire)
