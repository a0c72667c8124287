"""Primer's errors: one class a hundred, because the hundred says what to do.

The native layer makes them without ``__init__``, by setting what is annotated here; the numbers and
kinds are the core's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn


class PrimerError(Exception):
    """What went wrong. Catch the subclasses; compare ``number`` for one kind."""

    number: int
    """The stable number, the same in every language: 101 to 599."""
    kind: str
    """The stable name of that number, as "CopiesShort"."""
    reason: str
    """What happened, as a phrase; may be empty."""
    context: dict[str, str]
    """The values that matter, by name."""

    def __init__(
        self,
        message: str,
        *,
        number: int,
        kind: str,
        reason: str = "",
        context: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.number = number
        self.kind = kind
        self.reason = reason
        self.context = dict(context or {})

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders in pools; the default would lose the keyword arguments.
        state = (self.number, self.kind, str(self), self.reason, self.context)
        return make, state


class WrongCall(PrimerError, ValueError):
    """1xx: mend the call. Nothing happened."""


class NotNow(PrimerError):
    """2xx: try again later. Nothing happened."""


class InDoubt(PrimerError):
    """3xx: it may have happened. Retry if a duplicate is harmless."""


class TooLate(PrimerError):
    """4xx: let it go. Somebody else has the message, or it is finished."""


class MemberDown(PrimerError):
    """5xx: this member is closed or broken (or belongs to the parent process: reason "forked")."""


class Reject(Exception):
    """Raised inside ``with delivery:``: this message can never succeed, so it is rejected, not nacked.

    As every exception it goes on to the code around the block.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)

    @property
    def reason(self) -> str:
        """Why, as the dead letter's headers say it."""
        # Names of files may hold what UTF-8 does not.
        return str(self).encode(errors="replace").decode()


_BY_HUNDRED: dict[int, type[PrimerError]] = {1: WrongCall, 2: NotNow, 3: InDoubt, 4: TooLate, 5: MemberDown}


def make(number: int, kind: str, message: str, reason: str, context: dict[str, str]) -> PrimerError:
    """The exception for an error of the core."""
    class_ = _BY_HUNDRED.get(number // 100, PrimerError)
    return class_(message, number=number, kind=kind, reason=reason, context=context)


def refuse(reason: str, **context: object) -> NoReturn:
    """Raises 101 for an argument that only Python can judge."""
    values = {key: str(value) for key, value in context.items()}
    listed = ", ".join(f"{key} = {value}" for key, value in values.items())
    message = f"101 InvalidArgument: {reason}" + (f" ({listed})" if listed else "")
    raise make(101, "InvalidArgument", message, reason, values)


def is_end(error: MemberDown) -> bool:
    """True when an iteration ends by it: the member or the subscription was closed in this process."""
    return error.number == 501 and error.reason != "forked"
