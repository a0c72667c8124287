"""Members that close with their test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import primer


@pytest.fixture
def node() -> Iterator[primer.Primer]:
    """One member in memory."""
    with primer.open() as node:
        yield node


@pytest.fixture
def queue(node: primer.Primer) -> primer.Queue:
    """A queue of that member."""
    return node.queue("jobs")
