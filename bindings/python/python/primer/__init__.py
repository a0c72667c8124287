"""Primer: a message queue that you embed.

Every process that imports this is a full, equal member of one cluster: no broker, no outside service.

>>> import primer
>>> with primer.open() as node:
...     mails = node.queue("mails")
...     receipt = mails.enqueue(b"hello")
...     with mails.receive() as mail:
...         mail.body
b'hello'

``primer.aio`` has the same names, awaited. Durations are seconds, a ``timedelta`` or text like "30s".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._delivery import Delivery
from ._durations import Duration
from ._errors import InDoubt, MemberDown, NotNow, PrimerError, TooLate, WrongCall
from ._node import Events, Primer, Queue, Subscription, open, start
from ._options import OnShort, Options
from ._primer import Receipt, __version__
from ._values import Event, Member

if TYPE_CHECKING:
    from types import ModuleType

    from . import aio as aio

__all__ = [
    "Delivery",
    "Duration",
    "Event",
    "Events",
    "InDoubt",
    "Member",
    "MemberDown",
    "NotNow",
    "OnShort",
    "Options",
    "Primer",
    "PrimerError",
    "Queue",
    "Receipt",
    "Subscription",
    "TooLate",
    "WrongCall",
    "__version__",
    "aio",
    "open",
    "start",
]


def __getattr__(name: str) -> ModuleType:
    # asyncio costs tens of milliseconds to import; those who do not use it do not pay.
    if name == "aio":
        import importlib

        return importlib.import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
