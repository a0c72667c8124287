"""The same work in one process, by asyncio: three workers share a loop and a member.

build/venv/bin/python examples/python/workers_aio.py
"""

import asyncio

import primer

NUMBERS = range(1, 31)


async def work(jobs: primer.aio.Queue, squares: primer.aio.Queue) -> None:
    """One worker: squares numbers until it is cancelled, which gives back what it has not finished."""
    async for message in jobs.subscribe(credit=4):
        try:
            async with message:
                number = int(message.body)
                if number % 7 == 0 and message.attempts == 1:
                    raise RuntimeError(f"{number}: not today")
                await squares.enqueue(f"{number} {number * number}".encode())
        except RuntimeError as error:
            print(f"failed, will be tried again: {error}")


async def main() -> None:
    """Hands out numbers and collects squares."""
    async with primer.aio.open() as node:
        jobs, squares = node.queue("numbers"), node.queue("squares")
        workers = [asyncio.create_task(work(jobs, squares)) for _ in range(3)]
        await jobs.enqueue_many([str(number).encode() for number in NUMBERS])
        results: dict[int, int] = {}
        async for message in squares.subscribe():
            async with message:
                number, square = map(int, message.body.split())
                results[number] = square
            if len(results) == len(NUMBERS):
                break
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if sum(results.values()) != sum(number**2 for number in NUMBERS):
            raise SystemExit(f"wrong: {results}")
        print(f"{len(results)} squares, their sum is {sum(results.values())}")


asyncio.run(main())
