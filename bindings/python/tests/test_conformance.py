"""Every scenario of tests/conformance, through the sync face and again through the async one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import primer
from scenario import parse
from world import World

SCENARIOS = sorted((Path(__file__).parents[3] / "tests/conformance/scenarios").glob("*.scn"))


def play(path: Path, face: Any, do: Callable[[Any], Any]) -> None:
    world = World(face, do)
    try:
        for step in parse(path.read_text(encoding="utf-8")):
            try:
                world.step(step)
            except Exception as error:
                error.add_note(f"at {path.name}:{step.line}")
                raise
    finally:
        world.close()


def test_there_are_scenarios() -> None:
    assert SCENARIOS


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_sync(path: Path) -> None:
    play(path, primer, lambda value: value)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_aio(path: Path) -> None:
    with asyncio.Runner() as runner:

        async def value_of(answer: Any) -> Any:
            return await answer

        def do(answer: Any) -> Any:
            return runner.run(value_of(answer)) if inspect.isawaitable(answer) else answer

        play(path, primer.aio, do)
