"""What the deliveries of both worlds share, and the sync one: a message on lease.

A delivery that becomes garbage unsettled is released by the core: it goes back at once and the
attempt is not counted.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ._durations import Duration, millis_or_none
from ._errors import PrimerError, Reject

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from . import _primer
    from ._options import Headers


class BaseDelivery:
    """A message on lease, without the verbs that may wait."""

    __slots__ = ("_native", "_settled")

    def __init__(self, native: _primer.Delivery) -> None:
        self._native = native
        self._settled = ""

    @property
    def id(self) -> str:
        """The message's identity, the same at every member and on every attempt."""
        return self._native.id

    @property
    def body(self) -> bytes:
        """The producer's bytes."""
        return self._native.body

    @property
    def view(self) -> memoryview:
        """The same without a copy, read-only. It keeps the message in memory, not on lease."""
        return memoryview(self._native)

    @property
    def headers(self) -> dict[str, str]:
        """The producer's headers; of a repeated name, the last value."""
        return dict(self._native.headers)

    @property
    def header_list(self) -> list[tuple[str, str]]:
        """All of the producer's headers, in their order."""
        return self._native.headers

    @property
    def attempts(self) -> int:
        """How often the message was given out, this time included."""
        return self._native.attempts

    @property
    def priority(self) -> int:
        """0 (last) to 9 (first)."""
        return self._native.priority

    @property
    def key(self) -> str | None:
        """The key that it was put in with: messages of one key are given out in line."""
        return self._native.key

    @property
    def queue(self) -> str:
        """The name of the queue it came from."""
        return self._native.queue

    @property
    def is_settled(self) -> bool:
        """True once it was acked, nacked, rejected or released through this object."""
        return bool(self._settled)

    @property
    def wants_reply(self) -> bool:
        """True where somebody waits for a reply: it came by a ``call``."""
        return self._native.wants_reply

    def json(self) -> Any:
        """The body read as JSON. Errors: ``json.JSONDecodeError``, ``UnicodeDecodeError``."""
        return json.loads(self._native.body)

    def __repr__(self) -> str:
        cls = type(self)
        name = f"{cls.__module__.replace('._delivery', '')}.{cls.__qualname__}"
        try:
            state = self._settled or "leased"
            return f"<{name} {self.id} queue={self.queue!r} attempts={self.attempts} {state}>"
        except PrimerError as error:
            return f"<{name} {error.reason or error.kind}>"


class Delivery(BaseDelivery):
    """A message on lease.

    ``with delivery:`` settles it: leaving acks, an exception nacks (with the back-off), a ``Reject``
    rejects, and what is no failure of the message (KeyboardInterrupt, SystemExit) releases it.
    """

    __slots__ = ()

    def reply(self, body: Buffer, *, headers: Headers | None = None) -> None:
        """Replies to whoever waits for this message's reply, then acks it.

        Best effort: a caller that is gone, gave up or has a reply already is no error. Errors: 101 for a message that
        asks for no reply, 104, 203 (again later), 402, 501.
        """
        self._native.reply(body, headers)
        self._settled = "acked"

    def ack(self) -> None:
        """The message is finished. Errors: 402 when it was already, 501."""
        self._native.ack()
        self._settled = "acked"

    def nack(self, delay: Duration | None = None) -> None:
        """It failed: again after ``delay`` (none: a back-off of 1 s that doubles with each attempt,
        up to 10 minutes, unless the queue's settings say otherwise).

        Errors: 101, 202, 302, 401 when the lease is lost, 402, 501.
        """
        self._native.nack(millis_or_none(delay))
        self._settled = "nacked"

    def reject(self, reason: str) -> None:
        """It can never succeed: at once a dead letter in the queue "<queue>.dead", with the reason.

        512 bytes of the reason are kept, in its headers. Errors: as nack.
        """
        self._native.reject(reason)
        self._settled = "rejected"

    def release(self) -> None:
        """It was not tried: again at once, for anyone, the attempt not counted. Errors: as nack."""
        self._native.release()
        self._settled = "released"

    def extend(self, lease: Duration | None = None) -> None:
        """It needs ``lease`` from now on (none: the queue's setting, else the member's default). Errors: as nack."""
        self._native.extend(millis_or_none(lease))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settled:
            return
        if error is None:
            self.ack()
            return
        try:
            if isinstance(error, Reject):
                self.reject(error.reason)
            elif isinstance(error, Exception):
                self.nack()
            else:
                self.release()
        except PrimerError as trouble:
            # The handler's own exception is the one to see; this one explains what follows.
            error.add_note(f"primer: the message was not handed back: {trouble}")
