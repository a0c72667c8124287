"""What everyone hears, by the async face: topics, keys and their changes; who may be a member."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import primer
from primer import aio
from test_aio import run, until_waiting
from world import PATIENCE


async def own_id(node: aio.Primer) -> str:
    """The id of that member."""
    (own,) = [member.id for member in await node.members() if member.is_self]
    return own


def test_a_topic_is_iterated_and_ends_with_its_member() -> None:
    async def main() -> None:
        async with aio.open(cluster="chat", discover="none") as first:
            async with aio.open(cluster="chat", discover="none", seeds=[first.address or ""]) as second:
                events = second.events()
                while len([one for one in await second.members() if one.is_reachable]) < 2:
                    assert await events.next("20s") is not None
                readers = [second.on("chat"), second.on("chat")]
                for body in (b"hi", b"\x00a\x00", b""):
                    await first.broadcast("chat", body)
                own = await own_id(first)
                for reader in readers:
                    heard = [await anext(reader) for _ in range(3)]
                    assert heard == [primer.Broadcast("chat", own, body) for body in (b"hi", b"\x00a\x00", b"")]
                    assert (reader.topic, reader.missed, reader.take()) == ("chat", 0, [])
                assert repr(readers[0]) == "<primer.aio.Topic 'chat' missed=0>"
            assert [message async for message in readers[0]] == []
            with pytest.raises(primer.MemberDown):
                await readers[1].next()

    run(main)


def test_keys_and_their_changes() -> None:
    async def main() -> None:
        async with aio.open() as node:
            async with node.watch("job/") as watch:
                await node.put("job/1", b"\x00new")
                await node.put("other", bytearray(b"x"))
                assert await node.get("job/1") == b"\x00new"
                assert [(entry.key, entry.value) for entry in await node.list("job/")] == [("job/1", b"\x00new")]
                assert [entry.key for entry in await node.list()] == ["job/1", "other"]
                await node.delete("job/1")
                assert await node.get("job/1") is None
                assert await watch.next() == primer.Change("job/1", b"\x00new")
                assert await watch.next("20s") == primer.Change("job/1", None)
                assert await watch.next(0) is None
                assert await watch.next("1ms") is None
                assert repr(watch) == "<primer.aio.Watch 'job/' missed=0>"
                await node.put("job/2", b"2")
            # It was closed when the block was left: what is here can still be read.
            await node.put("job/3", b"3")
            assert [change async for change in watch] == [primer.Change("job/2", b"2")]

    run(main)


def test_news_that_is_here_does_not_go_through_the_loop() -> None:
    async def main() -> None:
        async with aio.open() as node:
            turns = 0

            def turn() -> None:
                nonlocal turns
                turns += 1
                asyncio.get_running_loop().call_soon(turn)

            topic = node.on("chat")
            asyncio.get_running_loop().call_soon(turn)
            for _ in range(100):
                await node.broadcast("chat", b"x")
                assert (await anext(topic)).body == b"x"
            assert turns == 0

    run(main)


def test_a_reader_that_is_closed_while_tasks_wait_ends() -> None:
    async def main() -> None:
        async with aio.open() as node:
            topic = node.on("chat")

            async def collect() -> list[bytes]:
                return [message.body async for message in topic]

            tasks = [asyncio.create_task(collect()) for _ in range(3)]
            waits = asyncio.create_task(topic.next())
            while len(node._loops.here()._waiting) < 4:
                await asyncio.sleep(0)
            await topic.close()
            assert await asyncio.gather(*tasks) == [[], [], []]
            with pytest.raises(primer.MemberDown) as caught:
                await waits
            assert (caught.value.number, caught.value.kind) == (501, "Closed")
            await topic.close()

    run(main)


def test_tasks_share_a_reader() -> None:
    async def main() -> None:
        async with aio.open() as node:
            topic = node.on("chat")

            async def collect() -> list[int]:
                return [int(message.body) async for message in topic]

            tasks = [asyncio.create_task(collect()) for _ in range(4)]
            await until_waiting(node, tasks[-1])
            for number in range(200):
                await node.broadcast("chat", str(number).encode())
                await asyncio.sleep(0)
            await topic.close()
            heard = await asyncio.gather(*tasks)
            assert sorted(sum(heard, [])) == list(range(200))

    run(main)


@pytest.mark.parametrize("turns", range(4))
def test_a_cancelled_wait_loses_no_news_and_keeps_their_order(turns: int) -> None:
    async def main() -> None:
        async with aio.open() as node:
            topic = node.on("chat")

            async def two() -> list[bytes]:
                heard = []
                try:
                    heard.append((await anext(topic)).body)
                except asyncio.CancelledError:
                    # It asks again in the same turn of the loop.
                    heard.append((await anext(topic)).body)
                return [*heard, (await anext(topic)).body]

            for _ in range(50):
                task = asyncio.create_task(two())
                await until_waiting(node, task)
                # The first is on its way to the task, the second is here for whoever asks next.
                await node.broadcast("chat", b"1")
                await node.broadcast("chat", b"2")
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                assert await asyncio.wait_for(task, PATIENCE) == [b"1", b"2"]
            assert topic.take() == []

    run(main)


@pytest.mark.parametrize("turns", range(4))
def test_what_came_for_a_cancelled_wait_is_for_the_next_that_waits(turns: int) -> None:
    async def main() -> None:
        async with aio.open() as node:
            topic = node.on("chat")
            first, second = (asyncio.create_task(topic.next()) for _ in range(2))
            while len(node._loops.here()._waiting) < 2:
                await asyncio.sleep(0)
            await node.broadcast("chat", b"1")
            for _ in range(turns):
                await asyncio.sleep(0)
            if first.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await first
            else:
                assert first.result() == primer.Broadcast("chat", await own_id(node), b"1")
                await node.broadcast("chat", b"1")
            message = await asyncio.wait_for(second, PATIENCE)
            assert message is not None
            assert message.body == b"1"
            assert topic.take() == []

    run(main)


def test_the_verbs_of_members() -> None:
    async def main() -> None:
        old, new = "one-2c5bd9a0f1e34b7796a8", "two-77f0c1d2e3f4a5b6c7d8"
        options: dict[str, Any] = {"cluster": "sealed", "listen": "127.0.0.1:0"}
        async with aio.open(**options, secret=old) as first, aio.open(**options, secret=new) as second:
            assert first.address is not None
            with pytest.raises(primer.WrongCall) as caught:
                await second.join(first.address)
            assert caught.value.number == 107
            await first.rotate([old, new])
            await second.join(first.address)
            events = second.events()
            with pytest.raises(primer.WrongCall) as caught:
                await first.evict(await own_id(first))
            assert caught.value.number == 101
            await second.queue("jobs").enqueue(b"kept", copies=1)
            await first.evict(await own_id(second))
            async for event in events:
                if event.kind == "evicted":
                    break
            assert await second.reclaim(keep=True) == 1
        for call in (first.put("key", b""), first.get("key"), first.broadcast("chat", b""), first.list()):
            with pytest.raises(primer.MemberDown):
                await call

    run(main)
