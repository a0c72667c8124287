"""The same work in one process, by asyncio: three tasks of a worker share a loop and a member.

build/venv/bin/python examples/python/workers_aio.py
"""

import asyncio

import primer

NUMBERS = range(1, 31)


async def main() -> None:
    """Hands out numbers and collects squares."""
    async with primer.aio.open() as node:
        jobs, squares = node.queue("numbers"), node.queue("squares")

        async def work(message: primer.aio.Delivery) -> None:
            number = int(message.body)
            if number % 7 == 0 and message.attempts == 1:
                raise RuntimeError(f"{number}: not today")
            await squares.enqueue(f"{number} {number * number}".encode())

        worker = jobs.worker(work, concurrency=3)
        await jobs.enqueue_many([str(number).encode() for number in NUMBERS])
        results: dict[int, int] = {}
        async for message in squares.subscribe():
            async with message:
                number, square = map(int, message.body.split())
                results[number] = square
            if len(results) == len(NUMBERS):
                break
        await worker.close(drain="20s")
        if sum(results.values()) != sum(number**2 for number in NUMBERS):
            raise SystemExit(f"wrong: {results}")
        print(f"{len(results)} squares, their sum is {sum(results.values())}")


asyncio.run(main())
