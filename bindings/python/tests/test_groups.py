"""Groups of a queue: both faces."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import primer
from primer import aio


def bodies(queue: primer.Queue, group: str) -> list[bytes]:
    """What waits in a group; it is done."""
    messages = queue.receive_many(9, group=group)
    assert set(queue.ack_many(messages)) <= {0}
    return [message.body for message in messages]


def test_each_group_gets_each_message_once(queue: primer.Queue) -> None:
    queue.create_group("mailer")
    queue.create_group("audit")
    queue.create_group("audit")
    assert queue.groups() == ["audit", "mailer"]
    queue.enqueue(b"one")
    queue.enqueue_many([b"two", b"three"])
    assert queue.receive() is None
    assert bodies(queue, "mailer") == bodies(queue, "audit") == [b"one", b"two", b"three"]
    assert bodies(queue, "mailer") == []
    queue.remove_group("audit")
    queue.remove_group("audit")
    assert queue.groups() == ["mailer"]


def test_consumers_of_a_group_share_it(queue: primer.Queue) -> None:
    with queue.subscribe(group="mailer", credit=1) as first, queue.subscribe(group="mailer", credit=1) as second:
        queue.enqueue_many([b"one", b"two"])
        messages = [subscription.next("20s") for subscription in (first, second)]
        assert {message.body for message in messages if message} == {b"one", b"two"}


def test_consuming_creates_a_group_that_begins_now_or_with_what_waits(queue: primer.Queue) -> None:
    queue.enqueue(b"before")
    assert queue.receive(group="new") is None
    with queue.subscribe(group="old", backlog=True) as subscription:
        message = subscription.next("20s")
        assert message is not None and message.body == b"before"
        message.ack()
    queue.create_group("older", backlog=True)
    message = queue.receive(group="older", wait="20s")
    assert message is not None and message.body == b"before"
    message.ack()
    message = queue.receive(group="oldest", backlog=True, wait="20s")
    assert message is not None and message.body == b"before"
    assert queue.groups() == ["new", "old", "older", "oldest"]


def test_a_producer_says_what_becomes_of_a_message_without_a_group(queue: primer.Queue) -> None:
    receipt = queue.enqueue(b"x", if_no_group="drop")
    assert (receipt.copies, receipt.wanted) == (0, 0)
    assert [receipt.copies for receipt in queue.enqueue_many([b"x", b"y"], if_no_group="drop")] == [0, 0]
    with pytest.raises(primer.WrongCall) as caught:
        queue.enqueue(b"x", if_no_group="refuse")
    assert caught.value.number == 102
    assert queue.receive() is None
    queue.enqueue(b"held", if_no_group="hold")
    message = queue.receive()
    assert message is not None and message.body == b"held"


def test_wrong_arguments(queue: primer.Queue) -> None:
    anything: Any = queue
    for name in ("", "q" * 256):
        for call in (queue.create_group, lambda name: queue.receive(group=name), lambda name: queue.subscribe(group=name)):
            with pytest.raises(primer.WrongCall) as caught:
                call(name)
            assert caught.value.number == 101
    with pytest.raises(primer.WrongCall, match="hold, drop or refuse"):
        anything.enqueue(b"x", if_no_group="perhaps")
    for number in (7, b"mailer", ["mailer"]):
        for verb in (anything.create_group, anything.remove_group):
            with pytest.raises(TypeError):
                verb(number)
        for verb in (anything.receive, anything.subscribe):
            with pytest.raises(TypeError):
                verb(group=number)
    for wrong in ({"backlog": 1}, {"backlog": None}):
        with pytest.raises(TypeError):
            anything.create_group("mailer", **wrong)
        with pytest.raises(TypeError):
            anything.receive(group="mailer", **wrong)
    with pytest.raises(TypeError):
        anything.enqueue(b"x", if_no_group=1)
    assert queue.groups() == []


def test_a_closed_member_answers_501() -> None:
    with primer.open() as node:
        queue = node.queue("jobs")
    for call in (queue.groups, lambda: queue.create_group("mailer"), lambda: queue.remove_group("mailer")):
        with pytest.raises(primer.MemberDown) as caught:
            call()
        assert caught.value.number == 501


def test_the_same_awaited() -> None:
    async def main() -> None:
        async with aio.open() as node:
            queue = node.queue("jobs")
            await queue.enqueue(b"before")
            await queue.create_group("new")
            await queue.create_group("old", backlog=True)
            await queue.enqueue(b"after", if_no_group="refuse")
            assert await queue.groups() == ["new", "old"]
            # What waits may come after what comes.
            for group, expected in (("new", {b"after"}), ("old", {b"before", b"after"})):
                async with queue.subscribe(group=group, credit=8) as subscription:
                    messages = [await subscription.next("20s") for _ in expected]
                    assert {message.body for message in messages if message} == expected
                    assert await queue.ack_many(message for message in messages if message) == [0] * len(expected)
            late = asyncio.ensure_future(queue.receive(group="new", wait="20s"))
            await queue.enqueue_many([b"late"])
            message = await late
            assert message is not None and message.body == b"late"
            assert [message.body for message in await queue.receive_many(9, group="old")] == [b"late"]
            await queue.remove_group("new")
            assert await queue.groups() == ["old"]
            with pytest.raises(primer.WrongCall):
                await queue.create_group("")

    asyncio.run(main(), debug=True)
