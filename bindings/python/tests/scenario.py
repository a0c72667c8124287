"""The scenario language of tests/conformance, read into steps; imitates the parser in Rust there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ESCAPE = re.compile(rb'\\(n|"|\\|x[0-9a-fA-F]{2})')
_SIZED = re.compile(rb"(bytes|name):(\d+)")

_ENQUEUE = (
    "copies",
    "on_short",
    "timeout",
    "priority",
    "delay",
    "at",
    "ttl",
    "max_attempts",
    "at_most_once",
    "if_no_group",
    "key",
    "dedup",
    "dedup_window",
    "header.",
)

# Each step: how many arguments at least and at most, and its keys; "header." begins one, "*" is any.
_SHAPES: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "open": (1, 1, ("*",)),
    "join": (2, 2, ()),
    "members": (1, 1, ()),
    "address": (1, 1, ()),
    "event": (2, 2, ()),
    "stats": (2, 2, ()),
    "enqueue": (3, 3, _ENQUEUE),
    "enqueue_many": (3, 99, _ENQUEUE),
    "call": (3, 3, _ENQUEUE),
    "reply": (3, 3, ("header.",)),
    "replied": (1, 1, ()),
    "receive": (2, 2, ("max", "wait", "lease", "group", "backlog")),
    "browse": (
        2,
        2,
        ("max", "after", "group", "states", "header.", "body_bytes", "timeout", "cursor", "missing"),
    ),
    "explain": (2, 2, ("missing",)),
    "doctor": (2, 2, ("missing",)),
    "redrive": (2, 2, ("to", "max", "header.", "ids", "dry_run", "timeout", "missing")),
    "ack": (2, 2, ()),
    "ack_many": (2, 99, ()),
    "nack": (2, 2, ("delay",)),
    "release": (2, 2, ()),
    "reject": (2, 2, ("reason",)),
    "extend": (2, 2, ("lease",)),
    "drop": (2, 2, ()),
    "subscribe": (2, 2, ("credit", "credit_bytes", "lease", "max_run", "group", "backlog")),
    "next": (1, 1, ("wait",)),
    "credit": (2, 2, ()),
    "unsubscribe": (1, 1, ()),
    "leave": (1, 1, ("drain", "force")),
    "close": (1, 1, ()),
    "broadcast": (3, 3, ()),
    "on": (2, 2, ()),
    "heard": (1, 2, ("from",)),
    "put": (3, 3, ()),
    "get": (2, 2, ()),
    "delete": (2, 2, ()),
    "list": (2, 2, ()),
    "watch": (2, 2, ()),
    "changed": (1, 3, ()),
    "evict": (2, 2, ()),
    "reclaim": (1, 1, ("keep",)),
    "rotate": (2, 2, ()),
    "unlisten": (1, 1, ()),
    "create_group": (3, 3, ("backlog",)),
    "remove_group": (3, 3, ()),
    "groups": (2, 2, ()),
    "configure": (3, 3, ()),
    "configuration": (2, 2, ()),
    "pause": (3, 3, ()),
    "resume": (2, 2, ()),
    "purge": (2, 2, ()),
    "set_policy": (3, 3, ()),
    "remove_policy": (2, 2, ()),
    "policies": (1, 1, ()),
}


@dataclass
class Word:
    """``name``, ``"text"``, ``bytes:8``, or ``key=`` any of these."""

    key: str | None = None
    value: bytes = b""
    is_text: bool = False

    @property
    def text(self) -> str:
        """The value as text; bytes that are not UTF-8 are replaced."""
        return self.value.decode(errors="replace")

    def is_plain(self, value: bytes) -> bool:
        return self.key is None and not self.is_text and self.value == value


@dataclass
class Step:
    """``verb argument... key=value... -> expectation``; what is expected is cut at commas."""

    line: int
    verb: str
    args: list[Word] = field(default_factory=list)
    options: dict[str, Word] = field(default_factory=dict)
    expect: list[list[Word]] = field(default_factory=list)

    def arg(self, index: int) -> str:
        return self.args[index].text

    def millis(self, key: str) -> int | None:
        return int(self.options[key].text) if key in self.options else None

    def is_true(self, key: str) -> bool:
        return key in self.options and self.options[key].text == "true"

    @property
    def error(self) -> int | None:
        """The number behind ``-> error``."""
        match self.expect:
            case [[word, number]] if word.is_plain(b"error"):
                return int(number.text)
        return None

    @property
    def wanted(self) -> list[str]:
        """All expected words as text."""
        return [word.text for group in self.expect for word in group]


def parse(text: str) -> list[Step]:
    """The steps of a file. Errors: ValueError with the line."""
    steps = []
    for line, content in enumerate(text.splitlines(), 1):
        try:
            words = _cut(content.encode())
            if words:
                steps.append(_step(line, words))
        except ValueError as error:
            raise ValueError(f"line {line}: {error}") from None
    if not steps:
        raise ValueError("line 1: no step at all")
    return steps


def _step(line: int, words: list[Word]) -> Step:
    step = Step(line, words[0].text)
    for word in words[1:]:
        if word.is_plain(b"->") or word.is_plain(b","):
            step.expect.append([])
        elif step.expect:
            step.expect[-1].append(word)
        elif word.key is not None:
            step.options[word.key] = word
        else:
            step.args.append(word)
    if step.verb not in _SHAPES:
        raise ValueError(f"there is no step `{step.verb}`")
    least, most, keys = _SHAPES[step.verb]
    if not least <= len(step.args) <= most:
        raise ValueError(f"`{step.verb}` takes {least} to {most} arguments, not {len(step.args)}")
    for key in step.options:
        if not any(k in ("*", key) or (k.endswith(".") and key.startswith(k)) for k in keys):
            raise ValueError(f"`{step.verb}` has no key `{key}`")
    if not all(step.expect):
        raise ValueError("nothing stands behind `->` or a comma")
    return step


def _cut(line: bytes) -> list[Word]:
    words: list[Word] = []
    word, quoted, at = Word(), False, 0
    while at < len(line):
        byte = line[at : at + 1]
        at += 1
        if byte == b'"':
            quoted = not quoted
            word.is_text = True
        elif quoted and byte == b"\\":
            found = _ESCAPE.match(line, at - 1)
            if not found:
                raise ValueError('an escape is one of \\" \\\\ \\n \\xNN')
            word.value += _escaped(found[1])
            at = found.end()
        elif quoted:
            word.value += byte
        elif byte == b"#":
            break
        elif byte in b" \t":
            word = _finish(word, words)
        elif byte == b"," and any(one.is_plain(b"->") for one in words):
            word = _finish(word, words)
            words.append(Word(value=b","))
        elif byte == b"=" and word.key is None and not word.is_text:
            word = Word(key=word.text)
        else:
            word.value += byte
    if quoted:
        raise ValueError("a text has no end")
    _finish(word, words)
    return words


def _escaped(escape: bytes) -> bytes:
    if escape == b"n":
        return b"\n"
    return bytes([int(escape[1:], 16)]) if escape.startswith(b"x") else escape


def _finish(word: Word, words: list[Word]) -> Word:
    """Puts the word behind the others, if there is one, and begins anew."""
    if word != Word():
        sized = None if word.is_text else _SIZED.fullmatch(word.value)
        if sized:
            letter = b"x" if sized[1] == b"bytes" else b"q"
            word = Word(word.key, letter * int(sized[2]), True)
        words.append(word)
    return Word()
