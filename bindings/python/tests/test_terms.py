"""What a producer asks for a message, and messages that can never succeed: both faces."""

from __future__ import annotations

import asyncio
import math
import pickle
import time
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

import primer
from primer import aio
from primer._durations import epoch_millis
from test_aio import one as awaited
from test_sync import one

NOON = datetime(2024, 2, 29, 12, 0, 0, 250_000, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def take(queue: primer.Queue) -> bytes:
    """Its body; it is done."""
    with one(queue) as message:
        return message.body


def dead(node: primer.Primer) -> primer.Delivery:
    """The dead letter of the queue "jobs" that must be there."""
    return one(node.queue("jobs.dead"))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (NOON, 1_709_208_000_250),
        (NOON.astimezone(timezone(-5 * HOUR)), 1_709_208_000_250),
        (NOON + timedelta(microseconds=1), 1_709_208_000_251),
        (1_709_208_000, 1_709_208_000_000),
        (1_709_208_000.25, 1_709_208_000_250),
        (0, 0),
        (-1, 0),
        (-0.5, 0),
        (datetime(1969, 7, 20, tzinfo=timezone.utc), 0),
        (datetime.min.replace(tzinfo=timezone(HOUR)), 0),
    ],
)
def test_dates_are_read(when: primer.When, expected: int) -> None:
    assert epoch_millis(when) == expected


@pytest.mark.parametrize("when", [math.nan, math.inf, -math.inf, NOON.replace(tzinfo=None)])
def test_what_is_no_time_is_a_wrong_call(when: primer.When) -> None:
    with pytest.raises(primer.WrongCall) as caught:
        epoch_millis(when)
    assert (caught.value.number, caught.value.context) == (101, {"at": str(when)})


@pytest.mark.parametrize("when", [None, True, "12:00", b"1", HOUR, date(2024, 2, 29), 1j])
def test_what_is_no_date_is_a_type_error(when: Any) -> None:
    with pytest.raises(TypeError, match="a date is"):
        epoch_millis(when)


@pytest.mark.parametrize(
    "terms",
    [
        {"priority": 10},
        {"priority": -1},
        {"priority": 256},
        {"priority": 1 << 70},
        {"delay": -1},
        {"delay": "soon"},
        {"delay": "366d"},
        {"ttl": 0},
        {"ttl": "366d"},
        {"ttl": math.inf},
        {"at": NOON.replace(tzinfo=None)},
        {"at": datetime(9999, 1, 1, tzinfo=timezone.utc)},
        {"at": 1e300},
        {"delay": 1, "at": NOON},
        {"delay": 0, "at": 0},
        {"max_attempts": 0},
        {"key": ""},
        {"key": "é" * 128},
        {"dedup": ""},
        {"dedup": "é" * 128},
        {"dedup": "x", "dedup_window": 0},
        {"dedup": "x", "dedup_window": "8d"},
        {"dedup": "x", "dedup_window": "soon"},
        {"dedup": "x", "at_most_once": True},
        {"dedup_window": 1},
        {"max_attempts": -1},
        {"max_attempts": 1 << 32},
        {"at_most_once": True, "copies": 2},
    ],
)
def test_terms_out_of_range_are_wrong_calls(queue: primer.Queue, terms: dict[str, Any]) -> None:
    calls: list[Any] = [lambda: queue.enqueue(b"x", **terms), lambda: queue.enqueue_many([b"x", b"y"], **terms)]
    for call in calls:
        with pytest.raises(primer.WrongCall) as caught:
            call()
        assert (caught.value.number, caught.value.kind) == (101, "InvalidArgument")
    assert queue.receive() is None


@pytest.mark.parametrize(
    "terms",
    [
        {"priority": "9"},
        {"priority": 1.5},
        {"delay": [1]},
        {"delay": True},
        {"at": "now"},
        {"ttl": b"1s"},
        {"max_attempts": 2.0},
        {"at_most_once": 1},
        {"at_most_once": "yes"},
        {"key": 7},
        {"dedup": 7},
        {"prioritee": 9},
    ],
)
def test_terms_of_a_wrong_type(queue: primer.Queue, terms: Any) -> None:
    for call in (lambda: queue.enqueue(b"x", **terms), lambda: queue.enqueue_many([b"x"], **terms)):
        with pytest.raises(TypeError):
            call()
    assert queue.receive() is None


def test_messages_of_one_key_come_in_line(queue: primer.Queue) -> None:
    queue.enqueue_many([b"1", b"2"], key="ada")
    queue.enqueue(b"other")
    assert sorted((one.body, one.key) for one in queue.browse()) == [(b"1", "ada"), (b"2", "ada"), (b"other", None)]
    first, other = sorted(queue.receive_many(max=9), key=lambda one: one.body)
    assert (first.body, first.key, other.body, other.key) == (b"1", "ada", b"other", None)
    first.ack()
    second = queue.receive()
    assert second is not None and (second.body, second.key) == (b"2", "ada")


def test_equal_dedup_keys_are_one_message(queue: primer.Queue) -> None:
    first = queue.enqueue(b"one", dedup="order-42")
    again = queue.enqueue(b"two", dedup="order-42", dedup_window=timedelta(minutes=5))
    assert (first.is_duplicate, again.is_duplicate, again.id) == (False, True, first.id)
    assert "is_duplicate" in repr(again) and "is_duplicate" not in repr(first)
    # Another window is another key.
    assert not queue.enqueue(b"three", dedup="order-42", dedup_window="1m").is_duplicate
    assert [message.body for message in queue.receive_many(max=9)] == [b"one", b"three"]
    (only,) = queue.enqueue_many([b"four"], dedup="order-42")
    assert only.is_duplicate
    with pytest.raises(primer.WrongCall):
        queue.enqueue_many([b"five", b"six"], dedup="order-43")
    with pytest.raises(primer.WrongCall):
        queue.call(b"seven", dedup="order-44")


def test_a_higher_priority_comes_first(queue: primer.Queue) -> None:
    queue.enqueue(b"low", priority=0)
    queue.enqueue(b"usual")
    queue.enqueue_many([b"high", b"higher"], priority=9)
    messages = queue.receive_many(9)
    assert [message.body for message in messages] == [b"high", b"higher", b"usual", b"low"]
    assert [message.priority for message in messages] == [9, 9, 4, 0]


@pytest.mark.parametrize("delay", [0.05, timedelta(milliseconds=50), "50ms"])
def test_a_delayed_message_comes_later(queue: primer.Queue, delay: primer.Duration) -> None:
    queue.enqueue(b"much later", delay="1h")
    queue.enqueue(b"later", delay=delay)
    queue.enqueue(b"now", delay=0)
    assert [take(queue), take(queue)] == [b"now", b"later"]
    assert queue.receive() is None


def test_a_dated_message_comes_from_then_on(queue: primer.Queue) -> None:
    queue.enqueue(b"tomorrow", at=datetime.now(timezone.utc) + timedelta(days=1))
    queue.enqueue(b"later", at=time.time() + 0.3)
    queue.enqueue(b"soon", at=datetime.now(timezone(HOUR)) + timedelta(milliseconds=50))
    queue.enqueue(b"long ago", at=NOON)
    bodies = {take(queue) for _ in range(3)}
    assert bodies == {b"long ago", b"soon", b"later"}
    assert queue.receive() is None


def test_what_nobody_took_in_time_expires(node: primer.Primer, queue: primer.Queue) -> None:
    queue.enqueue(b"short", ttl="1ms")
    queue.enqueue(b"long", ttl="1h")
    end = time.monotonic() + 20
    while node.stats()["expired"] != 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert take(queue) == b"long"
    assert queue.receive() is None


def test_given_out_too_often_it_is_a_dead_letter(node: primer.Primer) -> None:
    queue = node.queue("jobs", max_attempts=1)
    queue.enqueue(b"once", headers={"k": "v"})
    one(queue).nack(0)
    with dead(node) as letter:
        assert (letter.body, letter.headers["k"], letter.headers["primer-cause"]) == (b"once", "v", "attempts")
    # What the enqueue says counts, not its handle.
    queue.enqueue_many([b"twice"], max_attempts=2)
    one(queue).nack(0)
    again = one(queue)
    assert again.attempts == 2
    again.nack(0)
    assert dead(node).headers["primer-attempts"] == "2"


def test_a_member_has_a_limit_of_attempts() -> None:
    with primer.open(max_attempts=1) as node:
        node.queue("jobs").enqueue(b"once")
        one(node.queue("jobs")).nack(0)
        assert take(node.queue("jobs.dead")) == b"once"


def test_at_most_once(queue: primer.Queue) -> None:
    receipt = queue.enqueue(b"x", at_most_once=True)
    assert (receipt.copies, receipt.wanted) == (1, 1)
    with one(queue) as message:
        assert message.attempts == 1
    (receipt,) = queue.enqueue_many([b"y"], at_most_once=True)
    with pytest.raises(ZeroDivisionError) as caught, one(queue) as message:
        raise ZeroDivisionError
    assert message.id == receipt.id
    assert any("402" in note for note in caught.value.__notes__)
    assert queue.receive() is None


def test_a_rejected_message_is_a_dead_letter(node: primer.Primer, queue: primer.Queue) -> None:
    queue.enqueue(b"x", headers={"k": "v"})
    message = one(queue)
    message.reject("no such customer")
    assert message.is_settled
    assert repr(message).endswith("attempts=1 rejected>")
    letter = dead(node)
    assert letter.headers["primer-reason"] == "no such customer"
    assert (letter.headers["primer-cause"], letter.headers["k"]) == ("rejected", "v")
    with pytest.raises(primer.TooLate) as caught:
        message.reject("again")
    assert caught.value.number == 402
    wrong: Any = letter
    for reason in (None, 5, b"why"):
        with pytest.raises(TypeError):
            wrong.reject(reason)
    with pytest.raises(TypeError):
        wrong.reject()
    letter.ack()
    assert queue.receive() is None


def test_reject_raised_in_a_block_rejects(node: primer.Primer, queue: primer.Queue) -> None:
    # The last is a file's name that is no UTF-8.
    for reason, told in (("no such customer", "no such customer"), ("", ""), ("caf\udce9", "caf?")):
        queue.enqueue(b"x")
        with pytest.raises(primer.Reject) as caught, one(queue) as message:
            raise primer.Reject(reason)
        assert not hasattr(caught.value, "__notes__")
        assert "rejected" in repr(message)
        with dead(node) as letter:
            assert letter.headers.get("primer-reason", "") == told
    assert queue.receive() is None


def test_a_reject_that_fails_is_told_to_its_handler(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    first = queue.receive(lease="1ms")
    assert first is not None
    second = one(queue)
    with pytest.raises(primer.Reject, match="why") as caught, first:
        raise primer.Reject("why")
    assert any("401" in note for note in caught.value.__notes__)
    assert not first.is_settled
    second.ack()


def test_what_was_settled_inside_is_not_rejected(node: primer.Primer, queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    with pytest.raises(primer.Reject), one(queue) as message:
        message.ack()
        raise primer.Reject("too late")
    assert "acked" in repr(message)
    assert node.queue("jobs.dead").receive() is None


def test_a_reject_is_an_exception_of_its_own() -> None:
    error = primer.Reject("why")
    assert not isinstance(error, primer.PrimerError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.reason, str(again)) == (primer.Reject, "why", "why")


def test_use_of_reject_after_close_is_501() -> None:
    with primer.open() as node:
        node.queue("jobs").enqueue(b"x")
        message = one(node.queue("jobs"))
    with pytest.raises(primer.MemberDown) as caught:
        message.reject("why")
    assert caught.value.number == 501


def test_the_same_awaited() -> None:
    async def main() -> None:
        async with aio.open() as node:
            queue, letters = node.queue("jobs", max_attempts=1), node.queue("jobs.dead")
            await queue.enqueue(b"later", delay="50ms", ttl="1h")
            await queue.enqueue(b"low", priority=0, at=datetime.now(timezone.utc))
            await queue.enqueue_many([b"high"], priority=9, at_most_once=True)
            messages = [await awaited(queue) for _ in range(3)]
            assert [(message.body, message.priority) for message in messages[:2]] == [(b"high", 9), (b"low", 0)]
            assert await queue.ack_many(messages) == [0, 0, 0]
            wrong: list[dict[str, Any]] = [{"priority": 10}, {"delay": 1, "at": 1}, {"max_attempts": 0}]
            for terms in wrong:
                with pytest.raises(primer.WrongCall):
                    await queue.enqueue(b"x", **terms)
                with pytest.raises(primer.WrongCall):
                    await queue.enqueue_many([b"x"], **terms)

            await queue.enqueue(b"attempts")
            await (await awaited(queue)).nack(0)
            async with await awaited(letters) as letter:
                assert letter.headers["primer-cause"] == "attempts"

            await queue.enqueue(b"verb")
            message = await awaited(queue)
            await message.reject("verb")
            assert "rejected" in repr(message)
            async with await awaited(letters) as letter:
                assert letter.headers["primer-reason"] == "verb"
            with pytest.raises(primer.TooLate):
                await message.reject("again")

            await queue.enqueue(b"block")
            with pytest.raises(primer.Reject):
                async with await awaited(queue) as message:
                    raise primer.Reject("block")
            assert "rejected" in repr(message)
            async with await awaited(letters) as letter:
                assert letter.headers["primer-reason"] == "block"
            assert await queue.receive() is None

    asyncio.run(main(), debug=True)


def test_a_late_answer_of_a_reject_is_awaited() -> None:
    async def main() -> None:
        async with aio.open(listen="127.0.0.1:0") as owner, aio.open(seeds=[owner.address or ""]) as other:
            await owner.queue("jobs").enqueue(b"x", copies=1)
            with pytest.raises(primer.Reject):
                async with await awaited(other.queue("jobs")):
                    raise primer.Reject("elsewhere")
            letter = await awaited(owner.queue("jobs.dead"))
            assert letter.headers["primer-reason"] == "elsewhere"

    asyncio.run(main(), debug=True)
