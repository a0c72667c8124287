"""Work for two processes: each is a member of the cluster and pulls under its own credit.

build/venv/bin/python examples/python/workers.py

The boss starts two workers, each a process of its own, and gives them its address. Every seventh
number fails at first, which the log tells; it comes back and is tried again, perhaps by the other worker. A worker ends
when its standard input does, so none outlives its boss.
"""

import os
import subprocess
import sys

import primer

NUMBERS = range(1, 31)


def work(address: str) -> None:
    """One worker: squares numbers, four at a time, until its standard input ends."""
    with primer.open(cluster="workers", seeds=[address]) as node:
        squares = node.queue("squares", copies=2)

        @node.worker("numbers", concurrency=4, max_run="5m")
        def square(message: primer.Delivery) -> None:
            number = int(message.body)
            if number % 7 == 0 and message.attempts == 1:
                raise RuntimeError(f"{number}: not today")
            squares.enqueue(f"{number} {number * number} {os.getpid()}".encode())

        sys.stdin.read()
        square.close(drain="20s")


def main() -> None:
    """The boss: hands out numbers and collects squares."""
    with primer.open(cluster="workers") as node:
        command = [sys.executable, __file__, node.address or ""]
        workers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(2)]
        events = node.events()
        while sum(member.is_reachable for member in node.members()) < 3:
            events.next("10s")

        node.queue("numbers").enqueue_many([str(number).encode() for number in NUMBERS], copies=2)
        results: dict[int, int] = {}
        by: set[str] = set()
        while len(results) < len(NUMBERS):
            message = node.queue("squares").receive(wait="30s")
            if message is None:
                raise SystemExit("the workers are gone")
            with message:
                number, square, worker = message.body.decode().split()
                results[int(number)] = int(square)
                by.add(worker)

        for process in workers:
            process.communicate()
        codes = [process.returncode for process in workers]
        if codes != [0, 0] or sum(results.values()) != sum(number**2 for number in NUMBERS):
            raise SystemExit(f"wrong: {codes}, {results}")
        print(f"{len(results)} squares by {len(by)} workers, their sum is {sum(results.values())}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        main()
