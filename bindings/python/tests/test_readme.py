"""The Python snippets of the first page run one after the other, as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import primer

README = Path(__file__).parents[3] / "README.md"
# Nobody listens there: a member alone does for all that is shown.
SEEDS = ', seeds=["127.0.0.1:7400"]'


def test_the_snippets_of_the_first_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) > 8 and SEEDS in snippets[0]
    subscribe = primer.Queue.subscribe

    def what_is_there(queue: primer.Queue, **options: Any) -> Any:
        # A loop over a subscription has no end; a worker's has its own.
        if "max_run" in options:
            return subscribe(queue, **options)
        return queue.receive_many(options["credit"], group=options.get("group"))

    monkeypatch.setattr(primer.Queue, "subscribe", what_is_there)
    sent: list[bytes] = []
    names: dict[str, Any] = {"send": sent.append}
    try:
        for number, snippet in enumerate(snippets):
            exec(compile(snippet.replace(SEEDS, ""), f"snippet {number} of README.md", "exec"), names)
    finally:
        if "member" in names:
            names["member"].close()
    assert sent == [b"hi"]
