"""Workers of both faces: handlers fail, reject, block for longer than their lease, and are drained."""

from __future__ import annotations

import asyncio
import ctypes
import threading

import pytest

import primer

LONG = "20s"


def pass_leases(node: primer.Primer) -> None:
    """Waits until a lease of a second ran out: an event of the engine's, after many of the shorter ones."""
    clock = node.queue("clock")
    clock.enqueue(b"tick")
    # Held on to: what becomes garbage goes back at once.
    first = again(clock.receive(lease="1s"))
    with again(clock.receive(wait=LONG)) as tick:
        assert (first.attempts, tick.attempts) == (1, 2)


def again(message: primer.Delivery | None) -> primer.Delivery:
    assert message is not None, "nothing came"
    return message


def test_what_returns_is_acked_what_raises_comes_again_and_a_reject_is_a_dead_letter(node: primer.Primer) -> None:
    seen: list[tuple[bytes, int]] = []
    done = threading.Event()

    @node.worker("jobs", concurrency=2)
    def work(message: primer.Delivery) -> None:
        seen.append((message.body, message.attempts))
        if message.body == b"no":
            raise primer.Reject("as told")
        if message.body == b"fails" and message.attempts == 1:
            raise RuntimeError("not today")
        if message.body == b"fails":
            done.set()

    node.queue("jobs").enqueue_many([b"yes", b"no", b"fails"], headers={"traceparent": "00-ab-cd-01"})
    dead = again(node.queue("jobs.dead").receive(wait=LONG))
    assert (dead.body, dead.headers["primer-reason"]) == (b"no", "as told")
    # The context of a trace goes on, also in a dead letter.
    assert dead.headers["traceparent"] == "00-ab-cd-01"
    dead.ack()
    assert done.wait(20)
    assert work.close()
    assert sorted(seen) == [(b"fails", 1), (b"fails", 2), (b"no", 1), (b"yes", 1)]
    assert node.stats()["messages"] == 0


def test_a_handler_that_blocks_for_longer_than_its_lease_keeps_its_message(node: primer.Primer) -> None:
    calls: list[int] = []
    ready, gate = threading.Event(), threading.Event()

    def work(message: primer.Delivery) -> None:
        calls.append(message.attempts)
        # The interpreter's lock is held for more than two leases: PyDLL does not let go of it.
        ctypes.PyDLL(None).usleep(500_000)
        ready.set()
        gate.wait(20)

    jobs = node.queue("jobs")
    with jobs.worker(work, lease="200ms", concurrency=2) as worker:
        jobs.enqueue(b"slow")
        assert ready.wait(20)
        pass_leases(node)
        assert calls == [1]
        gate.set()
        assert worker.close(drain=LONG)
    assert calls == [1]
    assert node.stats()["messages"] == 0
    assert node.stats()["redeliveries_lease"] == 1, "the tick's alone"


def test_a_run_that_is_over_gives_the_message_to_another(node: primer.Primer) -> None:
    attempts: list[int] = []
    gate = threading.Event()

    def work(message: primer.Delivery) -> None:
        attempts.append(message.attempts)
        if message.attempts == 1:
            gate.wait(20)
        gate.set()

    with node.queue("jobs").worker(work, lease="50ms", max_run="150ms", concurrency=2):
        node.queue("jobs").enqueue(b"stuck")
        assert gate.wait(20)
    assert attempts == [1, 2]


def test_closing_drains_and_gives_back_what_was_not_begun(node: primer.Primer) -> None:
    begun, gate = threading.Event(), threading.Event()

    def work(message: primer.Delivery) -> None:
        begun.set()
        gate.wait(20)

    jobs = node.queue("jobs")
    worker = jobs.worker(work, lease="200ms")
    jobs.enqueue_many([b"1", b"2"])
    assert begun.wait(20)
    ends: list[bool] = []
    closer = threading.Thread(target=lambda: ends.append(worker.close(drain=LONG)))
    closer.start()
    # The second goes back at once, the first is kept while it is drained.
    again(jobs.receive(wait=LONG, lease="60s")).ack()
    pass_leases(node)
    assert ends == []
    gate.set()
    closer.join()
    assert ends == [True]
    assert node.stats()["messages"] == 0
    assert worker.close()


def test_what_a_drain_does_not_wait_for_is_given_back(node: primer.Primer) -> None:
    begun, gate = threading.Event(), threading.Event()

    def work(message: primer.Delivery) -> None:
        begun.set()
        gate.wait(20)

    jobs = node.queue("jobs")
    worker = jobs.worker(work)
    jobs.enqueue(b"long")
    assert begun.wait(20)
    assert not worker.close(drain="1ms")
    message = again(jobs.receive(wait=LONG))
    # It was not counted as an attempt.
    assert message.attempts == 1
    gate.set()
    assert worker.join(LONG)


def test_after_its_drain_a_handler_settles_only_by_an_ack_of_its_own(node: primer.Primer) -> None:
    begun, gate = threading.Semaphore(0), threading.Event()

    def work(message: primer.Delivery) -> None:
        begun.release()
        gate.wait(20)
        if message.body == b"acks":
            message.ack()

    jobs = node.queue("jobs")
    jobs.enqueue_many([b"returns", b"acks"])
    worker = jobs.worker(work, concurrency=2)
    assert all(begun.acquire(timeout=20) for _ in range(2))
    assert not worker.close(drain="1ms")
    gate.set()
    assert worker.join(LONG)
    assert [message.body for message in jobs.receive_many(2)] == [b"returns"]


def test_a_worker_ends_with_its_member_and_calls_its_handler() -> None:
    with primer.open() as node:
        worker = node.worker("jobs")(lambda message: message.body)
        message = node.queue("other")
        message.enqueue(b"by hand")
        with again(message.receive()) as one:
            assert worker(one) == b"by hand"
    assert worker.join(LONG)
    with pytest.raises(primer.WrongCall, match="at least one handler"), primer.open() as node:
        node.queue("jobs").worker(print, concurrency=0)


def test_a_worker_takes_the_backlog_and_no_more_bytes_than_it_says(node: primer.Primer) -> None:
    jobs = node.queue("jobs")
    jobs.enqueue_many([b"1" * 100, b"2" * 100])
    begun, gate = threading.Semaphore(0), threading.Event()
    seen: list[bytes] = []

    def work(message: primer.Delivery) -> None:
        seen.append(message.body[:1])
        begun.release()
        gate.wait(20)

    with node.worker("jobs", concurrency=2, credit_bytes=50, group="late", backlog=True)(work) as worker:
        assert begun.acquire(timeout=20), "what waited came to the group"
        # There is a handler to spare, but one body is more bytes than the credit: the next one is anybody's.
        with again(jobs.receive(wait=LONG, group="late")) as other:
            assert (seen, other.body[:1]) == ([b"1"], b"2")
        gate.set()
        assert worker.close(drain=LONG)
    with jobs.worker(work, group="later") as worker:
        jobs.enqueue(b"3")
        assert begun.acquire(timeout=20)
    assert seen == [b"1", b"3"]


def test_tasks_take_the_backlog_and_no_more_bytes_than_they_say() -> None:
    async def main() -> None:
        begun, gate = asyncio.Event(), asyncio.Event()
        seen: list[bytes] = []

        async def work(message: primer.aio.Delivery) -> None:
            seen.append(message.body[:1])
            begun.set()
            await gate.wait()

        async with primer.aio.open() as node:
            jobs = node.queue("jobs")
            await jobs.enqueue_many([b"1" * 100, b"2" * 100])
            async with node.worker("jobs", concurrency=2, credit_bytes=50, group="late", backlog=True)(work):
                async with asyncio.timeout(20):
                    await begun.wait()
                other = await jobs.receive(wait=LONG, group="late")
                assert other is not None and (seen, other.body[:1]) == ([b"1"], b"2")
                await other.ack()
                gate.set()

    asyncio.run(main())


def test_tasks_work_as_threads_do() -> None:
    async def main() -> None:
        seen: list[tuple[bytes, int]] = []
        done = asyncio.Event()

        async def work(message: primer.aio.Delivery) -> None:
            seen.append((message.body, message.attempts))
            if message.body == b"no":
                raise primer.Reject("as told")
            if message.body == b"fails" and message.attempts == 1:
                raise RuntimeError("not today")
            # A loop that stands still loses no lease.
            ctypes.PyDLL(None).usleep(300_000)
            if message.body == b"fails":
                done.set()

        async with primer.aio.open() as node:
            worker = node.worker("jobs", concurrency=3, lease="100ms")(work)
            await node.queue("jobs").enqueue_many([b"yes", b"no", b"fails"])
            dead = await node.queue("jobs.dead").receive(wait=LONG)
            assert dead is not None and dead.headers["primer-reason"] == "as told"
            await dead.ack()
            async with asyncio.timeout(20):
                await done.wait()
            assert await worker.close()
            assert sorted(seen) == [(b"fails", 1), (b"fails", 2), (b"no", 1), (b"yes", 1)]
            assert (await node.stats())["messages"] == 0

    asyncio.run(main())


def test_a_task_that_a_drain_does_not_wait_for_is_cancelled_and_its_message_given_back() -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def work(message: primer.aio.Delivery) -> None:
            begun.set()
            await asyncio.Event().wait()

        async with primer.aio.open() as node:
            jobs = node.queue("jobs")
            async with jobs.worker(work) as worker:
                await jobs.enqueue(b"long")
                await begun.wait()
                assert not await worker.close(drain="1ms")
                message = await jobs.receive(wait=LONG)
                assert message is not None and message.attempts == 1

    asyncio.run(main())


def test_a_worker_replies_with_the_bytes_that_its_function_returns(node: primer.Primer) -> None:
    sums = node.queue("sums")
    with sums.worker(lambda message: str(eval(message.body)).encode(), concurrency=2):
        assert sums.call(b"2 + 2", timeout=LONG).json() == 4
        # Nobody waits for what a plain message's handler returns.
        sums.enqueue(b"1 + 1")
        reply = sums.call(b"3 * 3", timeout=LONG, headers={"of": "products"})
        assert (reply.body, reply.headers) == (b"9", {})
    with pytest.raises(primer.InDoubt) as late:
        sums.call(b"1", timeout=0.05)
    assert late.value.number == 302
    assert node.stats()["replies"] == 2


def test_an_asyncio_worker_replies_too_and_a_cancelled_call_ends() -> None:
    async def main() -> None:
        async with primer.aio.open() as node:
            sums = node.queue("sums")

            async def work(message: primer.aio.Delivery) -> bytes | None:
                if message.body == b"by hand":
                    await message.reply(b"done", headers={"by": "hand"})
                    return None
                return message.body * 2

            async with sums.worker(work):
                replies = await asyncio.gather(*(sums.call(b"%d" % number, timeout=LONG) for number in range(10)))
                assert [reply.body for reply in replies] == [b"%d" % number * 2 for number in range(10)]
                reply = await sums.call(b"by hand", timeout=LONG)
                assert (reply.body, reply.headers) == (b"done", {"by": "hand"})
            call = asyncio.create_task(sums.call(b"cancelled", timeout=LONG))
            await asyncio.sleep(0)
            assert (await node.stats())["calls"] == 1
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert (await node.stats())["calls"] == 0

    asyncio.run(main())
