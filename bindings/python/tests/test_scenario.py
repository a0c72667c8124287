"""The scenario parser: a slip of the pen is an error, never a step that passes unseen."""

from __future__ import annotations

import pytest

from scenario import Word, parse


def test_words_quotes_escapes_and_sizes() -> None:
    (step,) = parse(r'enqueue a jobs "a b\x00\"\\\n" header.k="v, # w" copies=2 -> m1 copies=2  # said' "\n# nothing\n")
    assert (step.line, step.verb) == (1, "enqueue")
    assert [word.value for word in step.args] == [b"a", b"jobs", b'a b\x00"\\\n']
    assert step.options["header.k"] == Word("header.k", b"v, # w", True)
    assert step.expect == [[Word(value=b"m1"), Word("copies", b"2")]]
    (step,) = parse("enqueue a name:3 bytes:2")
    assert [word.value for word in step.args] == [b"a", b"qqq", b"xx"]


def test_expectations_are_cut_at_commas() -> None:
    (step,) = parse('receive a jobs max=2 -> m1 "one" attempts=1, m2 "two, too"')
    assert [[word.text for word in group] for group in step.expect] == [["m1", "one", "1"], ["m2", "two, too"]]
    assert parse("close a -> error 501")[0].error == 501
    assert parse("close a -> ok")[0].error is None


@pytest.mark.parametrize(
    "line",
    [
        "fly a",
        "close",
        "close a b",
        "receive a jobs size=1",
        'enqueue a b "c',
        r'enqueue a b "\q"',
        "close a ->",
        "# only",
    ],
)
def test_a_slip_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="line 1: "):
        parse(line)
