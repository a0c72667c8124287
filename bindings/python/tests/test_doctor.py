"""Why nothing is delivered: what a diagnosis is in Python, in both faces."""

from __future__ import annotations

import asyncio

import pytest

import primer
import primer.aio


def test_a_diagnosis_says_what_is_the_matter(node: primer.Primer) -> None:
    jobs = node.queue("jobs")
    assert [finding.code for finding in jobs.doctor()] == ["empty"]
    jobs.enqueue_many([b"one", b"two"])
    taken = jobs.receive(wait="20s")
    assert taken is not None
    jobs.pause("in")
    told = jobs.doctor()
    me = node.members()[0].id
    assert told.findings == (primer.Finding("no_consumer", None, 1, (me,)), primer.Finding("paused_in", None, 0, (me,)))
    (facts,) = told.facts
    assert (facts.member, facts.group, facts.ready, facts.leased, facts.delayed) == (me, None, 1, 1, 0)
    assert (facts.lessees, facts.owners, facts.paused, facts.paused_by) == ((me,), (), "in", None)
    assert facts.oldest_ms is not None and facts.next_lease_ms is not None and facts.next_ready_ms is None
    assert (len(told), told.missing, facts.messages_max, facts.is_full) == (2, (), None, False)
    taken.ack()
    node.close()
    with pytest.raises(primer.MemberDown):
        jobs.doctor()


def test_the_same_is_awaited_in_asyncio() -> None:
    async def main() -> None:
        async with primer.aio.open() as node:
            jobs = node.queue("jobs")
            await jobs.enqueue(b"one")
            told = await jobs.doctor()
            assert [(finding.code, finding.messages) for finding in told] == [("no_consumer", 1)]

    asyncio.run(main())
