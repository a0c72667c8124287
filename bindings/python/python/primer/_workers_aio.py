"""Workers of the asyncio face: tasks that take from one subscription. See ``primer.Worker``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._durations import Duration, millis_or_none
from ._workers import is_reply, tell

if TYPE_CHECKING:
    from .aio import Delivery, Subscription

Handler = Callable[["Delivery"], Awaitable[Any]]


class Worker:
    """Awaits a handler for each message of a queue, ``concurrency`` at a time, until it is closed.

    See ``primer.Worker``; a loop that is blocked loses no lease either. It begins in the loop that runs.
    """

    def __init__(self, subscription: Subscription, handler: Handler, concurrency: int) -> None:
        self._subscription = subscription
        self._handler = handler
        self._tasks = [asyncio.create_task(self._work()) for _ in range(concurrency)]

    async def _work(self) -> None:
        async for message in self._subscription:
            try:
                async with message:
                    result = await self._handler(message)
                    if is_reply(result, message):
                        await message.reply(result)
            except Exception as error:  # noqa: BLE001  # A handler's failure is its message's, not the worker's.
                tell(error, message.id)
            # A wait for the next one must not keep this one alive.
            del message

    def __call__(self, message: Delivery) -> Awaitable[Any]:
        return self._handler(message)

    async def join(self, timeout: Duration | None = None) -> bool:
        """Waits until every handler has ended, which needs the worker or its member to be closed.

        False when ``timeout`` (none: no limit) passed before.
        """
        limit = millis_or_none(timeout)
        here = asyncio.current_task()
        others = [task for task in self._tasks if task is not here]
        if not others:
            return True
        _, running = await asyncio.wait(others, timeout=None if limit is None else limit / 1000)
        return not running

    async def close(self, *, drain: Duration | None = None) -> bool:
        """Takes no more and waits up to ``drain`` (none: no limit) for the handlers that run. Idempotent.

        What was not begun goes back at once. True when all ended; else the rest is cancelled, which gives it back.
        """
        await self._subscription.close()
        if await self.join(drain):
            return True
        here = asyncio.current_task()
        others = [task for task in self._tasks if task is not here]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<primer.aio.Worker of {self._subscription!r} tasks={len(self._tasks)}>"
