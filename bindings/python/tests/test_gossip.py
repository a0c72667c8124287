"""What everyone hears, by the sync face: topics, keys and their changes; who may be a member."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import primer
from primer import _primer
from world import PATIENCE

SECRETS = ("one-2c5bd9a0f1e34b7796a8", "two-77f0c1d2e3f4a5b6c7d8")


@pytest.fixture
def two() -> Iterator[tuple[primer.Primer, primer.Primer]]:
    """Two members that see each other."""
    with (
        primer.open(cluster="gossip", discover="none") as first,
        primer.open(cluster="gossip", discover="none", seeds=[first.address or ""]) as second,
    ):
        until(lambda: [sum(one.is_reachable for one in node.members()) for node in (first, second)], [2, 2])
        yield first, second


def own_id(node: primer.Primer) -> str:
    """The id of that member."""
    (own,) = [member.id for member in node.members() if member.is_self]
    return own


def until(ask: Callable[[], object], wanted: object) -> None:
    """Returns when the answer is that one; asking is the way to wait for what others write."""
    end = time.monotonic() + PATIENCE
    while (now := ask()) != wanted:
        assert time.monotonic() < end, f"it is {now!r}, not {wanted!r}"
        time.sleep(0.001)


def iterate_elsewhere(reader: primer.Events | primer.Topic | primer.Watch, seen: list[Any]) -> threading.Thread:
    """A thread that iterates the reader, and waits in it now."""
    waits = _primer.waits()
    thread = threading.Thread(target=lambda: seen.extend(reader))
    thread.start()
    while _primer.waits() == waits:
        thread.join(0.001)
    return thread


# ---- topics ----


def test_every_reader_of_a_topic_hears_all_of_it(two: tuple[primer.Primer, primer.Primer]) -> None:
    first, second = two
    readers = [first.on("chat"), first.on("chat"), second.on("chat")]
    other = second.on("other")
    for body in (b"hi", b"\x00a\x00", b"", bytearray(b"\xff\x00")):
        first.broadcast("chat", body)
    second.broadcast("other", memoryview(b"elsewhere"))
    for reader in readers:
        heard = [reader.next("20s") for _ in range(4)]
        assert heard == [
            primer.Broadcast("chat", own_id(first), body) for body in (b"hi", b"\x00a\x00", b"", b"\xff\x00")
        ]
        assert all(type(message.body) is bytes for message in heard if message)
        assert (reader.missed, reader.topic) == (0, "chat")
    assert other.next("20s") == primer.Broadcast("other", own_id(second), b"elsewhere")
    assert other.take() == []


def test_a_topic_is_iterated_and_ends_with_its_member() -> None:
    bodies = []
    with primer.open() as node:
        topic = node.on("chat")
        node.broadcast("chat", b"1")
        node.broadcast("chat", b"2")
        for message in topic:
            bodies.append(message.body)
            if len(bodies) == 2:
                node.broadcast("chat", b"3")
                node.close()
    # What was here when it was closed is still read.
    assert bodies == [b"1", b"2", b"3"]


@pytest.mark.parametrize("kind", ["events", "topic", "watch"])
def test_a_reader_that_is_closed_while_someone_waits_ends(node: primer.Primer, kind: str) -> None:
    readers = {"events": node.events(), "topic": node.on("chat"), "watch": node.watch()}
    reader: primer.Topic = readers[kind]  # type: ignore[assignment]  # they have the same verbs
    seen: list[Any] = []
    thread = iterate_elsewhere(reader, seen)
    reader.close()
    thread.join()
    assert seen == []
    with pytest.raises(primer.MemberDown) as caught:
        reader.next(0)
    assert (caught.value.number, caught.value.kind) == (501, "Closed")
    reader.close()
    assert not node.is_closed


def test_a_closed_reader_hears_nothing_more_and_the_others_do(node: primer.Primer) -> None:
    with node.on("chat") as left, node.on("chat") as right:
        node.broadcast("chat", b"1")
        left.close()
        node.broadcast("chat", b"2")
        assert [message.body for message in left] == [b"1"]
        assert [message.body for message in right.take()] == [b"1", b"2"]
    with pytest.raises(primer.MemberDown):
        right.next(0)


def test_two_threads_share_a_reader(node: primer.Primer) -> None:
    topic = node.on("chat")
    halves: list[list[Any]] = [[], []]
    threads = [iterate_elsewhere(topic, half) for half in halves]
    for number in range(200):
        node.broadcast("chat", str(number).encode())
    topic.close()
    for thread in threads:
        thread.join()
    numbers = [[int(message.body) for message in half] for half in halves]
    assert sorted(numbers[0] + numbers[1]) == list(range(200))


def test_a_wait_in_vain(node: primer.Primer) -> None:
    assert node.on("chat").next(0) is None
    assert node.on("chat").next("1ms") is None
    assert node.watch().next("1ms") is None


def test_a_reader_that_is_behind_misses_the_oldest(node: primer.Primer) -> None:
    topic = node.on("chat")
    for number in range(1030):
        while True:
            try:
                node.broadcast("chat", str(number).encode())
                break
            except primer.NotNow as error:
                assert error.number == 203
                time.sleep(int(error.context["retry_after_ms"]) / 1000)
    assert topic.missed == 6
    assert [int(message.body) for message in topic.take(5000)] == list(range(6, 1030))


def test_too_much_at_a_time_is_not_now(node: primer.Primer) -> None:
    body = bytes(64 << 10)
    with pytest.raises(primer.NotNow) as caught:
        while True:
            node.broadcast("chat", body)
    assert caught.value.number == 203
    assert 0 < int(caught.value.context["retry_after_ms"]) <= 100


# ---- keys ----


def test_keys_are_written_read_listed_and_removed(two: tuple[primer.Primer, primer.Primer]) -> None:
    first, second = two
    value = b"\x00r\xffd\x00"
    first.put("colour", value)
    assert first.get("colour") == value
    until(lambda: second.get("colour"), value)
    second.put("shape/2", bytearray(b"square"))
    second.put("shape/1", b"")
    until(lambda: [entry.key for entry in first.list("shape/")], ["shape/1", "shape/2"])
    everything = first.list()
    assert [(entry.key, entry.value, entry.others) for entry in everything] == [
        ("colour", value, ()),
        ("shape/1", b"", ()),
        ("shape/2", b"square", ()),
    ]
    assert all(entry.at_ms > 1_600_000_000_000 for entry in everything)
    assert len(set(everything)) == 3
    second.delete("colour")
    assert second.get("colour") is None
    until(lambda: first.get("colour"), None)
    first.delete("colour")
    assert first.list("col") == []


def test_changes_are_iterated(two: tuple[primer.Primer, primer.Primer]) -> None:
    first, second = two
    watch = first.watch("job/")
    assert watch.prefix == "job/"
    second.put("other", b"not for this one")
    second.put("job/1", b"\x00new")
    assert next(watch) == primer.Change("job/1", b"\x00new")
    second.delete("job/1")
    assert watch.next("20s") == primer.Change("job/1", None)
    first.put("job/2", b"")
    first.close()
    assert list(watch) == [primer.Change("job/2", b"")]


# ---- members ----


def test_an_evicted_member_joins_afresh_and_offers_what_it_held(
    two: tuple[primer.Primer, primer.Primer],
) -> None:
    first, second = two
    events, told = second.events(), first.events()
    evicted = own_id(second)
    second.queue("jobs", copies=1).enqueue_many([b"1", b"2"])
    for member, number in ((own_id(first), 101), ("f" * 32, 102), ("nobody", 101), ("", 101)):
        with pytest.raises(primer.WrongCall) as caught:
            first.evict(member)
        assert caught.value.number == number
    first.evict(evicted)
    assert next(event for event in told if event.kind == "evicted").member == evicted
    assert "2" in next(event for event in events if event.kind == "evicted").detail
    assert second.reclaim(keep=True) == 2
    assert second.reclaim(keep=False) == 0
    got = [first.queue("jobs").receive(wait="20s") for _ in range(2)]
    assert sorted(message.body for message in got if message) == [b"1", b"2"]


def test_only_who_has_the_secret_is_let_in_and_secrets_rotate() -> None:
    options: dict[str, Any] = {"cluster": "sealed", "listen": "127.0.0.1:0"}
    with (
        primer.open(**options, secret=SECRETS[0]) as first,
        primer.open(**options, secret=SECRETS[1]) as second,
        primer.open(**options, discover="none") as third,
    ):
        assert first.address is not None
        for stranger in (second, third):
            with pytest.raises(primer.WrongCall) as caught:
                stranger.join(first.address)
            assert (caught.value.number, caught.value.kind) == (107, "ClusterMismatch")
        first.rotate(iter(SECRETS))
        second.join(first.address)
        first.rotate(", ".join(SECRETS))
        assert len(second.members()) == 2
        with pytest.raises(primer.WrongCall) as caught:
            third.rotate(SECRETS)
        assert caught.value.number == 106


@pytest.mark.parametrize("secrets", [[], "", ["short"], "short", [*SECRETS, *SECRETS]])
def test_bad_secrets_are_wrong_calls_that_do_not_show_them(secrets: Any) -> None:
    with primer.open(cluster="sealed", listen="127.0.0.1:0", secret=list(SECRETS)) as node:
        with pytest.raises(primer.WrongCall) as caught:
            node.rotate(secrets)
        assert caught.value.number == 101
        shown = f"{caught.value!r} {caught.value.context} {node!r}"
        assert not any(secret in shown for secret in (*SECRETS, "short"))
    with pytest.raises(primer.WrongCall) as caught:
        primer.open(cluster="sealed", secret=secrets)
    assert caught.value.number == 101


@pytest.mark.parametrize("secrets", [None, 5, [5], b"bytes", [SECRETS[0], None]])
def test_a_secret_is_text(node: primer.Primer, secrets: Any) -> None:
    with pytest.raises(TypeError, match="a secret is text") as caught:
        node.rotate(secrets)
    assert SECRETS[0] not in str(caught.value)


def test_a_data_directory_makes_the_same_member_again(tmp_path: Path) -> None:
    options: dict[str, Any] = {"cluster": "kept", "discover": "none", "data_dir": tmp_path / "member"}
    with primer.open(**options) as node:
        member = own_id(node)
        with pytest.raises(primer.WrongCall) as caught:
            primer.open(**options)
        assert caught.value.number == 108
    with primer.open(**options) as node:
        assert own_id(node) == member


def test_members_of_one_cluster_find_each_other_by_its_name() -> None:
    with primer.open(cluster="found") as first, primer.open(cluster="found") as second:
        until(lambda: len(first.members()), 2)
        until(lambda: len(second.members()), 2)


# ---- errors ----


@pytest.mark.parametrize("name", ["", "q" * 256])
def test_names_out_of_range(node: primer.Primer, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: node.broadcast(name, b"x"),
        lambda: node.on(name),
        lambda: node.put(name, b"x"),
        lambda: node.delete(name),
    ]
    for call in calls:
        with pytest.raises(primer.WrongCall) as caught:
            call()
        assert caught.value.number == 101
    assert (node.get(name), node.list("q")) == (None, [])


def test_too_large(node: primer.Primer) -> None:
    topic = node.on("chat")
    for call in (node.broadcast, node.put):
        with pytest.raises(primer.WrongCall) as caught:
            call("chat", bytes((64 << 10) + 1))
        assert (caught.value.number, caught.value.kind) == (104, "TooLarge")
        call("chat", bytes(64 << 10))
    assert [len(message.body) for message in topic.take()] == [64 << 10]
    assert node.get("chat") == bytes(64 << 10)


def test_wrong_types(node: primer.Primer) -> None:
    calls: list[tuple[Any, str]] = [
        (lambda: node.broadcast("chat", "text"), "a body is bytes-like, not str"),  # type: ignore[arg-type]
        (lambda: node.put("key", "text"), "a value is bytes-like, not str"),  # type: ignore[arg-type]
        (lambda: node.put("key", None), "a value is bytes-like, not NoneType"),  # type: ignore[arg-type]
        (lambda: node.put(b"key", b""), "'key'"),  # type: ignore[arg-type]
        (lambda: node.on(5), "'topic'"),  # type: ignore[arg-type]
        (lambda: node.evict(5), "'member'"),  # type: ignore[arg-type]
        (lambda: node.reclaim(keep="no"), "'keep'"),  # type: ignore[arg-type]
        (lambda: node.watch(b""), "'prefix'"),  # type: ignore[arg-type]
        (lambda: node.on("chat").take("1"), "'max'"),  # type: ignore[arg-type]
    ]
    for call, match in calls:
        with pytest.raises(TypeError, match=match):
            call()
    with pytest.raises(primer.WrongCall):
        node.on("chat").take(-1)


def test_use_after_close_is_501() -> None:
    with primer.open(cluster="closed", listen="127.0.0.1:0", secret=SECRETS[0]) as node:
        topic, watch = node.on("chat"), node.watch()
        member = own_id(node)
    calls: list[Callable[[], object]] = [
        lambda: node.evict(member),
        lambda: node.reclaim(keep=True),
        lambda: node.broadcast("chat", b"x"),
        lambda: node.put("key", b"x"),
        lambda: node.get("key"),
        lambda: node.delete("key"),
        node.list,
        lambda: topic.next("20s"),
        lambda: watch.next("20s"),
        lambda: node.on("chat").next("20s"),
        lambda: node.watch().next("20s"),
    ]
    for call in calls:
        with pytest.raises(primer.MemberDown) as caught:
            call()
        assert (caught.value.number, caught.value.kind) == (501, "Closed")
    assert (topic.take(), list(topic), watch.take(), list(watch)) == ([], [], [], [])


def test_reprs_say_what_is_listened_to(node: primer.Primer) -> None:
    assert repr(node.on("chat")) == "<primer.Topic 'chat' missed=0>"
    assert repr(node.watch("job/")) == "<primer.Watch 'job/' missed=0>"
    assert repr(node.events()) == "<primer.Events missed=0>"
