"""A look at messages: what a page is in Python, in both faces."""

from __future__ import annotations

import asyncio

import pytest

import primer
import primer.aio


def test_a_page_is_iterable_and_all_pages_are_read_one_after_the_other(node: primer.Primer) -> None:
    jobs = node.queue("jobs")
    ids = [receipt.id for receipt in jobs.enqueue_many([b'{"n": 1}', b"two", b"three"], headers={"kind": "x"})]
    page = jobs.browse(max=2, states=("ready",), headers={"kind": "x"})
    assert [browsed.id for browsed in page] == ids[:2] and len(page) == 2
    first = page.messages[0]
    assert (first.json(), first.headers, first.state, first.group) == ({"n": 1}, {"kind": "x"}, "ready", None)
    assert (page.missing, page.cursor is None) == ((), False)
    pages = list(jobs.browse_all(max=2))
    assert [[browsed.id for browsed in one] for one in pages] == [ids[:2], ids[2:]]
    assert pages[-1].cursor is None
    with pytest.raises(TypeError):
        jobs.browse(states=[1])  # type: ignore[list-item]
    with pytest.raises(primer.WrongCall):
        jobs.browse(states=["lost"])  # type: ignore[list-item]
    assert node.stats()["delivered"] == 0


def test_the_same_is_awaited_in_asyncio() -> None:
    async def main() -> None:
        async with primer.aio.open() as node:
            jobs = node.queue("jobs")
            await jobs.enqueue_many([b"one", b"two"])
            bodies = [browsed.body async for page in jobs.browse_all(max=1) for browsed in page]
            assert bodies == [b"one", b"two"]
            assert len(await jobs.browse(group="nobody")) == 0

    asyncio.run(main())
