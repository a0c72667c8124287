"""The async idioms: ready answers, late ones, cancellation, several loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import primer
from primer import aio


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's coroutine; a debug loop complains of what was never awaited."""
    asyncio.run(main(), debug=True)


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[aio.Primer, aio.Queue]]:
    async with aio.open(**options) as node:
        yield node, node.queue("jobs")


async def one(queue: aio.Queue) -> aio.Delivery:
    """The message that must be there."""
    message = await queue.receive(wait="20s")
    assert message is not None
    return message


async def until_waiting(node: aio.Primer, bridge_of: asyncio.Task[Any]) -> None:
    """Returns when the task waits for a late answer of that member."""
    while not node._loops.here()._waiting and not bridge_of.done():
        await asyncio.sleep(0)


def test_the_basics() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            receipt = await queue.enqueue(b"one", headers={"k": "v"})
            assert receipt.copies == 1
            async with await one(queue) as message:
                assert (message.id, message.body, message.headers) == (receipt.id, b"one", {"k": "v"})
            assert "acked" in repr(message)
            receipts = await queue.enqueue_many([b"1", b"2", b"3"])
            messages = await queue.receive_many(9)
            assert [message.id for message in messages] == [receipt.id for receipt in receipts]
            assert await queue.ack_many(messages) == [0, 0, 0]
            assert await queue.receive() is None
            assert (await node.stats())["queues"] >= 0
            assert [member.is_self for member in await node.members()] == [True]
        assert node.is_closed
        assert "closed" in repr(node)

    run(main)


def test_open_may_be_awaited() -> None:
    async def main() -> None:
        node = await primer.aio.open()
        await node.close()
        await node.close()
        with pytest.raises(primer.MemberDown):
            await node.queue("x").enqueue(b"x")

    run(main)


def test_a_ready_answer_does_not_go_through_the_loop() -> None:
    async def main() -> None:
        async with opened() as (_, queue):
            turns = 0

            def turn() -> None:
                nonlocal turns
                turns += 1
                asyncio.get_running_loop().call_soon(turn)

            asyncio.get_running_loop().call_soon(turn)
            for _ in range(100):
                await queue.enqueue(b"x")
                await (await one(queue)).ack()
            assert turns == 0

    run(main)


def test_leaving_settles() -> None:
    async def main() -> None:
        async with opened() as (_, queue):
            await queue.enqueue(b"x")
            with pytest.raises(ZeroDivisionError):
                async with await one(queue) as message:
                    raise ZeroDivisionError
            assert "nacked" in repr(message)
            assert await queue.receive() is None
            again = await one(queue)
            assert (again.id, again.attempts) == (message.id, 2)
            await again.extend("60s")
            await again.nack(0)
            async with await one(queue) as last:
                await last.release()
            assert (await one(queue)).attempts == 3

    run(main)


def test_a_cancelled_handler_releases() -> None:
    async def main() -> None:
        async with opened() as (_, queue):
            await queue.enqueue(b"x")
            inside = asyncio.Event()

            async def handle() -> None:
                async with await one(queue):
                    inside.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(handle())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await one(queue)).attempts == 1

    run(main)


def test_a_cancelled_wait_leaves_the_message_for_others() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            task = asyncio.create_task(queue.receive(wait="1h"))
            await until_waiting(node, task)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await queue.enqueue(b"x")
            message = await queue.receive()
            assert message is not None
            assert message.attempts == 1

    run(main)


@pytest.mark.parametrize("turns", range(4))
def test_a_wait_cancelled_while_its_answer_is_on_the_way_gives_it_back(turns: int) -> None:
    # The message is leased for the wait at once; the loop hears of it some turns later. Whether the
    # cancellation comes before, between or after, the message must be there for the next one.
    async def main() -> None:
        async with opened() as (node, queue):
            task = asyncio.create_task(queue.receive(wait="1h"))
            await until_waiting(node, task)
            await queue.enqueue(b"x")
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert (await one(queue)).attempts == 1
            else:
                assert task.result() is not None

    run(main)


def test_a_cancelled_next_gives_its_message_back() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            subscription = queue.subscribe(credit=1)
            task = asyncio.create_task(subscription.next())
            await until_waiting(node, task)
            await queue.enqueue(b"x")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            message = await subscription.next("20s")
            assert message is not None
            assert message.attempts == 1
            assert await subscription.next(0) is None

    run(main)


def test_a_subscription_is_iterated_and_ends_with_its_member() -> None:
    async def main() -> None:
        seen = []
        async with opened() as (node, queue):
            await queue.enqueue_many([b"1", b"2", b"3"])
            async for message in queue.subscribe(credit=1):
                async with message:
                    seen.append(message.body)
                if len(seen) == 3:
                    await node.close()
        assert seen == [b"1", b"2", b"3"]

    run(main)


def test_late_deliveries_come_one_by_one() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            async with queue.subscribe() as subscription:

                async def consume() -> list[bytes]:
                    return [(await anext(subscription)).body for _ in range(50)]

                task = asyncio.create_task(consume())
                for number in range(50):
                    await until_waiting(node, task)
                    await queue.enqueue(str(number).encode())
                assert await task == [str(number).encode() for number in range(50)]
            assert "closed" in repr(subscription)
            with pytest.raises(primer.MemberDown):
                await subscription.next()

    run(main)


def test_many_waits_at_once() -> None:
    async def main() -> None:
        async with opened() as (_, queue):
            waits = [asyncio.create_task(queue.receive(wait="1h")) for _ in range(200)]
            await asyncio.sleep(0)
            receipts = await queue.enqueue_many([b"x"] * 200)
            messages = await asyncio.gather(*waits)
            assert {message.id for message in messages if message} == {receipt.id for receipt in receipts}

    run(main)


def test_closing_answers_waits() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            waits = [asyncio.create_task(queue.receive(wait="1h")) for _ in range(3)]
            waits.append(asyncio.create_task(queue.subscribe().next()))
            await until_waiting(node, waits[-1])
            await asyncio.sleep(0)
            await node.close()
            for answer in await asyncio.gather(*waits, return_exceptions=True):
                assert isinstance(answer, primer.MemberDown)
                assert answer.number == 501
        loop: Any = asyncio.get_running_loop()
        # Only asyncio's own wake-up is still watched: the member's queue of answers is let go.
        assert len(loop._selector.get_map()) == 1

    run(main)


def test_copies_are_awaited_across_members() -> None:
    async def main() -> None:
        async with (
            opened(cluster="shop") as (first, queue),
            aio.open(cluster="shop", seeds=[first.address or ""]) as second,
        ):
            events = second.events()
            while len([m for m in await second.members() if m.is_reachable]) < 2:
                assert await events.next("20s") is not None
            receipts = await asyncio.gather(
                *(second.queue("jobs").enqueue(b"x", copies=2, on_short="fail") for _ in range(20))
            )
            assert {receipt.copies for receipt in receipts} == {2}
            got: set[str] = set()
            while len(got) < 20:
                async with await one(queue) as message:
                    got.add(message.id)
            assert got == {receipt.id for receipt in receipts}

    run(main)


def test_events_are_awaited_and_a_cancelled_wait_loses_none() -> None:
    async def main() -> None:
        async with opened(cluster="shop") as (first, _):
            events = first.events()
            task = asyncio.create_task(events.next())
            await until_waiting(first, task)
            async with aio.open(cluster="shop", seeds=[first.address or ""]):
                # It has come, or comes now; the one who waited does not want it any more.
                while len(await first.members()) < 2:
                    await asyncio.sleep(0)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    event: primer.Event | None = await anext(events)
                else:
                    event = task.result()
                assert event is not None
                assert event.kind == "joined"
        assert "joined" not in [event.kind async for event in events]

    run(main)


def test_a_wait_with_a_limit_ends_empty() -> None:
    async def main() -> None:
        async with opened() as (node, queue):
            assert await queue.receive(wait="1ms") is None
            async with queue.subscribe() as subscription:
                assert await subscription.next(0) is None
                assert await subscription.next("1ms") is None
                await queue.enqueue(b"x")
                message = await subscription.next("20s")
                assert message is not None
            assert await node.events().next("1ms") is None

    run(main)


def test_one_member_serves_several_loops() -> None:
    node = aio.start()
    ids: list[str] = []

    async def consume() -> None:
        queue = node.queue("jobs")
        for _ in range(25):
            async with await one(queue) as message:
                ids.append(message.id)

    async def produce() -> None:
        queue = node.queue("jobs")
        for _ in range(50):
            await queue.enqueue(b"x")
            await asyncio.sleep(0)

    threads = [threading.Thread(target=asyncio.run, args=(task(),)) for task in (consume, consume, produce)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 50

    # Loops come and go; the member stays.
    async def last() -> None:
        await node.queue("jobs").enqueue(b"x")
        await (await one(node.queue("jobs"))).ack()
        await node.close()

    asyncio.run(last())


def test_closing_in_one_loop_answers_waits_in_another() -> None:
    node = aio.start()
    numbers: list[int] = []
    waiting = threading.Event()

    async def wait() -> None:
        task = asyncio.create_task(node.queue("jobs").receive(wait="1h"))
        await until_waiting(node, task)
        waiting.set()
        try:
            await task
        except primer.MemberDown as error:
            numbers.append(error.number)

    thread = threading.Thread(target=asyncio.run, args=(wait(),))
    thread.start()
    assert waiting.wait(60)
    asyncio.run(node.close())
    thread.join()
    assert numbers == [501]


def test_it_needs_a_running_loop() -> None:
    node = aio.start()
    with pytest.raises(RuntimeError, match="no running event loop"):
        node.close().send(None)

    asyncio.run(node.close())
