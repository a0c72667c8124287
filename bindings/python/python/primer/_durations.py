"""Durations and dates as Python people write them: seconds, a ``timedelta``, text like "30s"; a ``datetime``."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from typing import TypeAlias

from ._errors import refuse

Duration: TypeAlias = float | timedelta | str
"""Seconds (int or float), a ``timedelta``, or text: "250ms", "30s", "1.5h", "1m30s"."""

When: TypeAlias = datetime | float
"""A date: a ``datetime`` with a time zone, or seconds since 1970 as ``time.time()`` has them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS_MS = {"ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def millis(duration: Duration) -> int:
    """Whole milliseconds, rounded to the nearest, but never down to nothing.

    Errors: TypeError for what is no duration; WrongCall (101) for a negative, endless or unreadable one.
    """
    exact = _exact(duration)
    if not math.isfinite(exact) or exact < 0:
        refuse("a duration is finite and not negative", duration=duration)
    return max(round(exact), 1) if exact > 0 else 0


def millis_or_none(duration: Duration | None) -> int | None:
    """The same where absence means the default."""
    return None if duration is None else millis(duration)


def epoch_millis(date: When) -> int:
    """Whole milliseconds since 1970, rounded up: it is never earlier than it says. Before 1970 is 1970.

    Errors: TypeError for what is no date; WrongCall (101) without a time zone, or for an endless one.
    """
    match date:
        case datetime():
            if date.utcoffset() is None:
                refuse("a date has a time zone, as datetime.now(timezone.utc)", at=date)
            return max(-((_EPOCH - date) // timedelta(milliseconds=1)), 0)
        case int() | float() if not isinstance(date, bool):
            if not math.isfinite(date):
                refuse("a date is finite", at=date)
            return max(math.ceil(date * 1000), 0)
    raise TypeError(f"a date is a datetime or seconds since 1970, not {type(date).__name__}")


def _exact(duration: object) -> float:
    match duration:
        case int() | float() if not isinstance(duration, bool):
            return duration * 1000.0
        case timedelta():
            return duration / timedelta(milliseconds=1)
        case str():
            return _read(duration)
    raise TypeError(f"a duration is seconds, a timedelta or text like '30s', not {type(duration).__name__}")


def _read(text: str) -> float:
    if not _WHOLE.fullmatch(text):
        refuse("a duration is a number and a unit (ms, s, m, h, d), as '30s' or '1m30s'", duration=text)
    return math.fsum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
