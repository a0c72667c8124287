"""Dead letters that go back: what it is in Python, in both faces."""

from __future__ import annotations

import asyncio

import pytest

import primer
import primer.aio


def test_letters_go_back_and_are_counted(node: primer.Primer) -> None:
    jobs, dead = node.queue("jobs"), node.queue("jobs.dead")
    jobs.enqueue_many([b"one", b"two"], headers={"kind": "x"})
    for _ in range(2):
        one = jobs.receive(wait="20s")
        assert one is not None
        one.reject("as told")
    causes = {"primer-cause": "rejected"}
    assert dead.redrive(headers=causes, dry_run=True) == primer.Redriven(2, 0, 0, 0, 0, ())
    letters = [browsed.id for browsed in dead.browse()]
    assert dead.redrive(ids=letters[:1]) == primer.Redriven(1, 1, 0, 0, 0, ())
    assert dead.redrive(to="other", max=5, timeout="5s").moved == 1
    back, other = jobs.receive(), node.queue("other").receive()
    assert back is not None and other is not None
    assert (back.body, back.attempts, back.headers) == (b"one", 1, {"kind": "x"})
    assert (other.body, other.headers) == (b"two", {"kind": "x"})
    with pytest.raises(TypeError):
        dead.redrive(ids=b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        dead.redrive(ids=[1])  # type: ignore[list-item]
    with pytest.raises(primer.WrongCall):
        dead.redrive(ids=["no id"])
    with pytest.raises(primer.WrongCall):
        dead.redrive(to="jobs.dead")


def test_the_same_is_awaited_in_asyncio() -> None:
    async def main() -> None:
        async with primer.aio.open() as node:
            jobs = node.queue("jobs")
            await jobs.enqueue(b"one")
            one = await jobs.receive(wait="20s")
            assert one is not None
            await one.reject("as told")
            redriven = await node.queue("jobs.dead").redrive(max=3)
            assert (redriven.matched, redriven.moved, redriven.missing) == (1, 1, ())
            assert await jobs.receive() is not None

    asyncio.run(main())
