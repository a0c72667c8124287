"""What queues are told: both faces."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import primer
from primer import aio


def test_settings_are_keywords_and_none_unsets_one(queue: primer.Queue) -> None:
    queue.configure(copies=1, lease="2s", ttl=timedelta(minutes=1), backoff=0.01, backoff_max=5)
    queue.configure(max_attempts=3, overflow="drop_oldest", messages_max=10, dead_letters="morgue", takeover_after="1m", key_concurrency=2)
    told = {
        "backoff": 0.01,
        "backoff_max": 5.0,
        "copies": 1,
        "dead_letters": "morgue",
        "key_concurrency": 2,
        "lease": 2.0,
        "max_attempts": 3,
        "messages_max": 10,
        "overflow": "drop_oldest",
        "takeover_after": 60.0,
        "ttl": 60.0,
    }
    assert queue.configuration() == told
    queue.configure(**dict.fromkeys(told))
    assert queue.configuration() == {}


def test_what_is_told_holds_where_a_call_does_not_say(queue: primer.Queue) -> None:
    queue.configure(max_attempts=1, dead_letters="morgue", messages_max=1)
    queue.enqueue(b"one")
    with pytest.raises(primer.NotNow) as full:
        queue.enqueue(b"two")
    assert (full.value.number, full.value.context["messages_max"]) == (201, "1")
    message = queue.receive()
    assert message is not None
    message.nack(0)
    assert queue.receive() is None


def test_a_paused_queue_refuses_or_gives_nothing(node: primer.Primer) -> None:
    queue = node.queue("jobs")
    queue.enqueue(b"one")
    queue.pause("out")
    assert queue.receive() is None
    queue.pause("in")
    with pytest.raises(primer.NotNow) as paused:
        queue.enqueue(b"two")
    assert paused.value.number == 204
    queue.pause()
    assert queue.configuration() == {"paused": "both"}
    queue.resume()
    message = queue.receive()
    assert message is not None and message.body == b"one"


def test_a_purged_queue_is_empty_and_what_is_leased_is_over(queue: primer.Queue) -> None:
    queue.enqueue_many([b"one", b"two"])
    message = queue.receive()
    assert message is not None
    queue.purge()
    assert queue.receive() is None
    with pytest.raises(primer.TooLate) as late:
        message.ack()
    assert late.value.number == 402


def test_policies_are_for_names_that_begin_alike(node: primer.Primer) -> None:
    node.set_policy("mail.", lease="5s")
    node.set_policy("", copies=1)
    assert node.policies() == {"": {"copies": 1}, "mail.": {"lease": 5.0}}
    assert node.queue("mail.out").configuration() == {"lease": 5.0}
    node.remove_policy("mail.")
    node.remove_policy("mail.")
    assert node.queue("mail.out").configuration() == {"copies": 1}


def test_what_is_no_setting_is_a_wrong_call(queue: primer.Queue) -> None:
    with pytest.raises(primer.WrongCall) as unknown:
        queue.configure(copys=1)  # type: ignore[call-arg]
    assert unknown.value.context["nearest"] == "copies"
    for wrong in ({"copies": 99}, {"paused": "sideways"}, {"dead_letters": "\n"}):
        with pytest.raises(primer.WrongCall):
            queue.configure(**wrong)
    with pytest.raises(TypeError):
        queue.configure(copies=True)
    with pytest.raises(TypeError):
        queue.configure(messages_max=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        queue.configure(dead_letters="")
    with pytest.raises(primer.WrongCall):
        queue.pause("up")  # type: ignore[arg-type]
    assert queue.configuration() == {}


def test_the_awaited_verbs_do_the_same() -> None:
    async def tell() -> None:
        async with aio.open() as node:
            queue = node.queue("jobs")
            await queue.configure(lease="1s")
            await node.set_policy("jo", copies=1)
            assert await queue.configuration() == {"copies": 1, "lease": 1.0}
            await queue.enqueue(b"one")
            await queue.pause("out")
            assert await queue.receive() is None
            await queue.resume()
            await queue.purge()
            assert await queue.receive() is None
            assert await node.policies() == {"jo": {"copies": 1}}
            await node.remove_policy("jo")
            assert await node.policies() == {}

    asyncio.run(tell())
