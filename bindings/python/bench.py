"""The local rows of the bench for this face: one member in memory, 100-byte bodies, enqueue + receive + ack.

python bindings/python/bench.py [SECONDS]     one second a row by default

Prints a line a row, tab-separated: row, messages a second (the median of the rounds), unit. Rows take
turns, so that a busy moment of the machine does not fall on one of them alone. The idiom rows show
what comfort costs.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable

import primer

BODY = b"x" * 100
BATCH = 100
ROUNDS = 9

Work = Callable[[], None]
"""Enqueues, receives and acks BATCH messages."""


def native(queue: primer.Queue) -> dict[str, Work]:
    """The verbs without the idioms."""
    verbs = queue._native
    bodies = [BODY] * BATCH

    def one() -> None:
        enqueue, receive, ack = verbs.enqueue, verbs.receive, verbs.ack
        for _ in range(BATCH):
            enqueue(BODY)
            ack(receive()[0])

    def many() -> None:
        verbs.enqueue_many(bodies)
        verbs.ack_many(verbs.receive(BATCH))

    return {"native one at a time": one, f"native in batches of {BATCH}": many}


def idioms(queue: primer.Queue, pushed: primer.Queue) -> dict[str, Work]:
    """What people write."""
    bodies = [BODY] * BATCH
    subscription = pushed.subscribe(credit=BATCH)

    def one() -> None:
        for _ in range(BATCH):
            queue.enqueue(BODY)
            message = queue.receive()
            assert message is not None
            with message:
                assert message.body

    def many() -> None:
        queue.enqueue_many(bodies)
        queue.ack_many(queue.receive_many(BATCH))

    def push() -> None:
        pushed.enqueue_many(bodies)
        for _ in range(BATCH):
            with next(subscription) as message:
                assert message.body

    return {"idioms one at a time": one, f"idioms in batches of {BATCH}": many, "idioms by subscription": push}


def aio(runner: asyncio.Runner, queue: primer.aio.Queue) -> dict[str, Work]:
    """The same, awaited."""

    async def one() -> None:
        for _ in range(BATCH):
            await queue.enqueue(BODY)
            message = await queue.receive()
            assert message is not None
            await message.ack()

    return {"asyncio one at a time": lambda: runner.run(one())}


def rate(work: Work, seconds: float) -> float:
    """Messages a second."""
    begin = now = time.perf_counter()
    done = 0
    while now < begin + seconds:
        work()
        done += BATCH
        now = time.perf_counter()
    return done / (now - begin)


def main() -> None:
    """Prints the rows."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with primer.open() as node, asyncio.Runner() as runner:
        awaited = primer.aio.start()
        rows = native(node.queue("native")) | idioms(node.queue("idioms"), node.queue("pushed"))
        rows |= aio(runner, awaited.queue("awaited"))
        rates: dict[str, list[float]] = {name: [] for name in rows}
        for count in range(ROUNDS + 1):
            for name, work in rows.items():
                value = rate(work, seconds / ROUNDS)
                # The first round warms up.
                if count > 0:
                    rates[name].append(value)
        runner.run(awaited.close())
    for name, each in rates.items():
        print(f"python local {name}\t{statistics.median(each):.0f}\tmsg/s")


if __name__ == "__main__":
    main()
