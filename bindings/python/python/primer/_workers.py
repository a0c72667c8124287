"""Workers of the sync face: threads that take from one subscription. No rule of a queue is theirs.

The subscription keeps the leases, so a handler may take longer than one, and hold the interpreter's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._durations import Duration, millis_or_none
from ._errors import PrimerError, Reject, refuse

if TYPE_CHECKING:
    from ._delivery import BaseDelivery, Delivery
    from ._node import Subscription

Handler = Callable[["Delivery"], Any]

MAX_RUN: Duration = "1h"
"""How long a worker's handler may take, unless told otherwise."""

log = logging.getLogger("primer.worker")


def check(concurrency: int) -> int:
    """The number of handlers at a time. Errors: 101."""
    if concurrency < 1:
        refuse("a worker has at least one handler at a time", concurrency=concurrency)
    return concurrency


def is_reply(result: object, message: BaseDelivery) -> bool:
    """True where what a handler returned is what its message's caller waits for."""
    return isinstance(result, bytes | bytearray | memoryview) and message.wants_reply and not message.is_settled


def tell(error: Exception, message: str) -> None:
    """Logs how a handler failed; what it means for the message is decided already."""
    if isinstance(error, Reject):
        log.warning("message %s was rejected: %s", message, error.reason)
    elif isinstance(error, PrimerError):
        log.warning("message %s: %s", message, error)
    else:
        log.error("the handler of message %s failed; it comes again", message, exc_info=error)


class Worker:
    """Calls a handler for each message of a queue, ``concurrency`` at a time, until it is closed.

    A handler that returns acks, and replies with the bytes it returns where somebody waits for them; one that raises nacks with the back-off, a ``Reject`` makes a dead letter; one that
    settles the message itself has done so. Calling the worker calls its handler, as a test may want to.
    """

    def __init__(self, subscription: Subscription, handler: Handler, concurrency: int) -> None:
        self._subscription = subscription
        self._handler = handler
        self._lock = threading.Lock()
        self._working: set[Delivery] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"primer-worker-{subscription.queue}", daemon=True)
            for _ in range(concurrency)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        for message in self._subscription:
            with self._lock:
                self._working.add(message)
            try:
                with message:
                    result = self._handler(message)
                    if is_reply(result, message):
                        message.reply(result)
            except Exception as error:  # noqa: BLE001  # A handler's failure is its message's, not the worker's.
                tell(error, message.id)
            finally:
                with self._lock:
                    self._working.discard(message)
            # A wait for the next one must not keep this one alive.
            del message

    def __call__(self, message: Delivery) -> Any:
        return self._handler(message)

    def join(self, timeout: Duration | None = None) -> bool:
        """Waits until every handler has ended, which needs the worker or its member to be closed.

        False when ``timeout`` (none: no limit) passed before.
        """
        limit = millis_or_none(timeout)
        until = None if limit is None else time.monotonic() + limit / 1000
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(None if until is None else max(until - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._threads if thread is not threading.current_thread())

    def close(self, *, drain: Duration | None = None) -> bool:
        """Takes no more and waits up to ``drain`` (none: no limit) for the handlers that run. Idempotent.

        What was not begun goes back at once. True when all ended; else what is not finished is given back as well, and
        the handlers run on: how they end settles nothing any more, but a ``message.ack()`` of theirs still counts.
        """
        self._subscription.close()
        if self.join(drain):
            return True
        with self._lock:
            left = list(self._working)
        for message in left:
            try:
                message.release()
            except PrimerError as error:
                tell(error, message.id)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<primer.Worker of {self._subscription!r} threads={len(self._threads)}>"
