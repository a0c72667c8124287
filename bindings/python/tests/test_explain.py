"""What every member knows of a message: what that is in Python, in both faces."""

from __future__ import annotations

import asyncio

import pytest

import primer
import primer.aio


def test_an_explanation_is_iterable_and_says_what_a_message_is(node: primer.Primer) -> None:
    jobs = node.queue("jobs")
    id = jobs.enqueue(b"one", ttl="1h").id
    told = node.explain(id)
    (account,) = told
    me = node.members()[0].id
    assert (len(told), told.missing) == (1, ())
    assert (account.member, account.owner, account.holders) == (me, me, (me,))
    assert (account.id, account.queue, account.group, account.known) == (id, "jobs", None, "ready")
    assert account.accepted_ms is not None and account.expires_ms == account.accepted_ms + 3_600_000
    assert (account.lessee, account.lease_ms, account.ready_at_ms) == (None, None, None)
    with pytest.raises(primer.WrongCall) as caught:
        node.explain("no id")
    assert caught.value.number == 101
    with pytest.raises(TypeError):
        node.explain(7)  # type: ignore[arg-type]
    node.close()
    with pytest.raises(primer.MemberDown) as down:
        node.explain(id)
    assert down.value.number == 501


def test_the_same_is_awaited_in_asyncio() -> None:
    async def main() -> None:
        async with primer.aio.open() as node:
            receipt = await node.queue("jobs").enqueue(b"one")
            assert [account.known for account in await node.explain(receipt.id)] == ["ready"]
            with pytest.raises(primer.WrongCall):
                await node.explain("no id")

    asyncio.run(main())
