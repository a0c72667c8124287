"""A message on lease, settled by awaiting: ``primer.aio.Delivery``."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from . import _primer
from ._bridge import Loops
from ._delivery import BaseDelivery
from ._durations import Duration, millis_or_none
from ._errors import PrimerError, Reject
from ._options import Headers

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Delivery(BaseDelivery):
    """A message on lease.

    ``async with delivery:`` settles it: leaving acks, an exception nacks (with the back-off), a ``primer.Reject``
    rejects, and what is no failure of the message (a cancelled task, KeyboardInterrupt) releases it.
    """

    __slots__ = ("_loops",)

    def __init__(self, native: _primer.Delivery, loops: Loops) -> None:
        super().__init__(native)
        self._loops = loops

    async def reply(self, body: Buffer, *, headers: Headers | None = None) -> None:
        """Replies to whoever waits for this message's reply, then acks it. See ``primer.Delivery.reply``.

        Errors: 101 for a message that asks for no reply, 104, 203 (again later), 402, 501.
        """
        self._native.reply(body, headers)
        self._settled = "acked"

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

    async def reject(self, reason: str) -> None:
        """It can never succeed: at once a dead letter in the queue "<queue>.dead", with the reason. Errors: as nack."""
        bridge = self._loops.here()
        answer = self._native.reject(reason, bridge.native)
        if answer is not None:
            await bridge.late(answer)
        self._settled = "rejected"

    async def release(self) -> None:
        """It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack."""
        bridge = self._loops.here()
        answer = self._native.release(bridge.native)
        if answer is not None:
            await bridge.late(answer)
        self._settled = "released"

    async def extend(self, lease: Duration | None = None) -> None:
        """It needs ``lease`` from now on (none: the queue's setting, else the member's default). Errors: as nack."""
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
            if isinstance(error, Reject):
                await self.reject(error.reason)
            elif isinstance(error, Exception):
                await self.nack()
            else:
                # Sent at once; a cancelled task should not wait for the answer.
                self._native.release(self._loops.here().native)
                self._settled = "released"
        except PrimerError as trouble:
            error.add_note(f"primer: the message was not handed back: {trouble}")
