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
from ._durations import Duration, When
from ._errors import InDoubt, MemberDown, NotNow, PrimerError, Reject, TooLate, WrongCall
from ._node import Primer, Queue, Subscription, open, start
from ._options import Browse, Discover, IfNoGroup, OnShort, Options, Placement, Redrive, State, Terms
from ._primer import Receipt, __version__
from ._readers import Events, Topic, Watch
from ._settings import Direction, Overflow, Settings
from ._values import (
    Account,
    Broadcast,
    Browsed,
    Change,
    Diagnosis,
    Entry,
    Event,
    Explanation,
    Facts,
    Finding,
    Member,
    Page,
    Redriven,
    Reply,
)
from ._workers import Worker

if TYPE_CHECKING:
    from types import ModuleType

    from . import aio as aio

__all__ = [
    "Account",
    "Broadcast",
    "Browse",
    "Browsed",
    "Change",
    "Delivery",
    "Diagnosis",
    "Direction",
    "Discover",
    "Duration",
    "Entry",
    "Event",
    "Events",
    "Explanation",
    "Facts",
    "Finding",
    "IfNoGroup",
    "InDoubt",
    "Member",
    "MemberDown",
    "NotNow",
    "OnShort",
    "Options",
    "Overflow",
    "Page",
    "Placement",
    "Primer",
    "PrimerError",
    "Queue",
    "Receipt",
    "Redrive",
    "Redriven",
    "Reject",
    "Reply",
    "Settings",
    "State",
    "Subscription",
    "Terms",
    "TooLate",
    "Topic",
    "Watch",
    "When",
    "Worker",
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
