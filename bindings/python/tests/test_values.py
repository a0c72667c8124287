"""Arguments and values: durations, options, types, errors, reprs."""

from __future__ import annotations

import copy
import math
import pickle
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import primer
from primer._durations import millis
from primer._options import pairs


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0, 0),
        (2, 2000),
        (0.05, 50),
        (0.3, 300),
        (1e-9, 1),
        (timedelta(seconds=1.5), 1500),
        (timedelta(days=1), 86_400_000),
        ("250ms", 250),
        ("30s", 30_000),
        ("1.5h", 5_400_000),
        ("1m30s", 90_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
    ],
)
def test_durations_are_read(duration: primer.Duration, expected: int) -> None:
    assert millis(duration) == expected


@pytest.mark.parametrize(
    "duration",
    [-1, -0.001, math.nan, math.inf, timedelta(seconds=-1), "", "30", "s", "30 s", "-1s", "1x", "1s ", "٣s"],
)
def test_what_is_no_time_span_is_a_wrong_call(duration: primer.Duration) -> None:
    with pytest.raises(primer.WrongCall) as caught:
        millis(duration)
    assert (caught.value.number, caught.value.kind) == (101, "InvalidArgument")
    assert caught.value.context == {"duration": str(duration)}


@pytest.mark.parametrize("duration", [None, True, b"1s", [1], 1j])
def test_what_is_no_duration_is_a_type_error(duration: Any) -> None:
    with pytest.raises(TypeError, match="a duration is"):
        millis(duration)


def test_options_become_pairs() -> None:
    assert pairs({"cluster": "shop", "seeds": ["a:1", "b:2"], "copies": 3, "lease": "30s"}) == [
        ("cluster", "shop"),
        ("seeds", "a:1,b:2"),
        ("copies", "3"),
        ("lease_ms", "30000"),
    ]
    assert pairs({"seeds": "a:1,b:2", "takeover_after": 0.5, "enqueue_timeout": timedelta(seconds=1)}) == [
        ("seeds", "a:1,b:2"),
        ("takeover_after_ms", "500"),
        ("enqueue_timeout_ms", "1000"),
    ]
    assert pairs({"data_dir": Path("a/b"), "tls_key": "key.pem", "retire_after": "1h", "discover": "none"}) == [
        ("data_dir", "a/b"),
        ("tls_key", "key.pem"),
        ("retire_after_ms", "3600000"),
        ("discover", "none"),
    ]
    assert pairs({"secret": "a, b"}) == [("secret", "a, b")]
    assert pairs({"secret": ("a", "b"), "advertise": "host:1"}) == [("secret", "a,b"), ("advertise", "host:1")]


@pytest.mark.parametrize(
    "options",
    [
        {"copies": 1.5},
        {"copies": True},
        {"seeds": 5},
        {"seeds": [5]},
        {"name": b"x"},
        {"lease": []},
        {"secret": 5},
        {"secret": [b"x"]},
        {"data_dir": b"x"},
        {"data_dir": ["x"]},
    ],
)
def test_options_of_a_wrong_type(options: Any) -> None:
    with pytest.raises(TypeError):
        primer.open(**options)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("clusster", "cluster"),
        ("secrets", "secret"),
        ("data", "data_dir"),
        ("discovery", "discover"),
        ("tls_crt", "tls_cert"),
    ],
)
def test_an_unknown_option_names_the_nearest(wrong: str, nearest: str) -> None:
    options: Any = {wrong: "shop"}
    with pytest.raises(primer.WrongCall) as caught:
        primer.open(**options)
    assert caught.value.number == 101
    assert caught.value.context == {"option": wrong, "nearest": nearest}
    assert nearest in str(caught.value)


@pytest.mark.parametrize("body", ["text", 5, None, ["x"], {"a": 1}])
def test_a_body_is_bytes(queue: primer.Queue, body: Any) -> None:
    with pytest.raises(TypeError, match="a body is bytes-like"):
        queue.enqueue(body)
    with pytest.raises(TypeError, match="a body is bytes-like"):
        queue.enqueue_many([b"good", body])
    assert queue.receive() is None


@pytest.mark.parametrize("headers", [5, "ab", [("a",)], {"a": 1}, [("a", b"b")]])
def test_headers_are_text(queue: primer.Queue, headers: Any) -> None:
    with pytest.raises(TypeError):
        queue.enqueue(b"x", headers=headers)


@pytest.mark.parametrize("number", [-1, 0, 17, 1 << 16, 1 << 70])
def test_numbers_out_of_range_are_wrong_calls(queue: primer.Queue, number: int) -> None:
    with pytest.raises(primer.WrongCall) as caught:
        queue.enqueue(b"x", copies=number)
    assert caught.value.number == 101
    if number < 1 or number > 4096:
        with pytest.raises(primer.WrongCall):
            queue.receive_many(number)


def test_wrong_types_are_type_errors(node: primer.Primer, queue: primer.Queue) -> None:
    calls: list[Any] = [
        lambda bad: node.queue(bad),
        lambda bad: node.join(bad),
        lambda bad: queue.enqueue(b"x", copies=bad),
        lambda bad: queue.enqueue(b"x", on_short=bad),
        lambda bad: queue.receive_many(bad),
        lambda bad: queue.subscribe(credit=bad),
        lambda bad: queue.receive(wait=bad),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call(b"?")


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 512 << 10])
def test_bodies_come_out_as_they_went_in(queue: primer.Queue, size: int) -> None:
    body = bytes(index % 251 for index in range(size))
    for given in (body, bytearray(body), memoryview(body), memoryview(bytearray(body))):
        queue.enqueue(given)
        if isinstance(given, bytearray) and given:
            given[0] ^= 0xFF  # It was copied: a change comes too late.
        message = queue.receive()
        assert message is not None
        with message:
            assert type(message.body) is bytes
            assert message.body == body
            assert message.view == body
            assert message.view.readonly


def test_a_large_body_is_shared_and_a_small_one_copied(queue: primer.Queue) -> None:
    for size, shares in ((4096, 0), (4097, 1)):
        body = bytes(size)
        before = sys.getrefcount(body)
        queue.enqueue(body)
        assert sys.getrefcount(body) == before + shares
        message = queue.receive()
        assert message is not None
        message.ack()
        del message
        assert sys.getrefcount(body) == before


def test_a_view_outlives_its_delivery(queue: primer.Queue) -> None:
    queue.enqueue(b"x" * 10_000)
    message = queue.receive()
    assert message is not None
    view = message.view
    message.ack()
    del message
    assert bytes(view[:3]) == b"xxx"


def test_headers_are_a_dict_and_a_list(queue: primer.Queue) -> None:
    queue.enqueue(b"x", headers={"to": "ada", "note": "grüße"})
    queue.enqueue(b"x", headers=[("k", "1"), ("k", "2")])
    queue.enqueue(b"x")
    first, second, third = queue.receive_many(3)
    assert first.headers == {"to": "ada", "note": "grüße"}
    assert second.header_list == [("k", "1"), ("k", "2")]
    assert second.headers == {"k": "2"}
    assert third.headers == {}


def test_json(queue: primer.Queue) -> None:
    queue.enqueue('{"to": "ada", "n": [1, 2]}'.encode())
    message = queue.receive()
    assert message is not None
    assert message.json() == {"to": "ada", "n": [1, 2]}


def test_receipts_are_values(queue: primer.Queue) -> None:
    receipt = queue.enqueue(b"x")
    other = queue.enqueue(b"x")
    assert (receipt.copies, receipt.durable_copies, receipt.wanted) == (1, 0, 1)
    assert receipt == receipt
    assert receipt != other
    assert len({receipt, receipt, other}) == 2
    assert receipt.id in repr(receipt)
    with pytest.raises(AttributeError):
        receipt.copies = 2  # type: ignore[misc]  # that it cannot be set is the point


def test_members_and_stats_are_plain_values(node: primer.Primer) -> None:
    (member,) = node.members()
    assert member == copy.copy(member)
    assert member.is_self
    assert member.is_reachable
    assert (len(member.id), len(member.boot)) == (32, 16)
    assert (member.memory_level, member.zone) == (0, "")
    with primer.open(zone="attic") as other:
        assert other.members()[0].zone == "attic"
    stats = node.stats()
    assert stats
    assert all(type(name) is str and type(value) is int for name, value in stats.items())


def test_errors_survive_pickling(queue: primer.Queue) -> None:
    with pytest.raises(primer.WrongCall) as caught:
        queue.enqueue(b"x", copies=0)
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is primer.WrongCall
    assert (again.number, again.kind, again.context, str(again)) == (
        error.number,
        error.kind,
        error.context,
        str(error),
    )
    assert isinstance(error, ValueError)
    assert isinstance(error, primer.PrimerError)
    assert str(error).startswith("101 InvalidArgument")


def test_reprs_show_state() -> None:
    with primer.open(cluster="shop") as node:
        assert repr(node) == f"<primer.Primer cluster='shop' address={node.address} members=1/1>"
        queue = node.queue("jobs")
        assert repr(queue) == "<primer.Queue 'jobs'>"
        queue.enqueue(b"x")
        message = queue.receive()
        assert message is not None
        assert repr(message) == f"<primer.Delivery {message.id} queue='jobs' attempts=1 leased>"
        message.ack()
        assert repr(message).endswith("attempts=1 acked>")
        subscription = queue.subscribe()
        assert repr(subscription) == "<primer.Subscription queue='jobs' open>"
        subscription.close()
        assert repr(subscription) == "<primer.Subscription queue='jobs' closed>"
        assert repr(node.events()) == "<primer.Events missed=0>"
    assert repr(node) == "<primer.Primer cluster='shop' closed>"


def test_native_handles_cannot_be_made_by_hand() -> None:
    from primer import _primer

    classes: list[Any] = [_primer.Primer, _primer.Queue, _primer.Delivery, _primer.Subscription, _primer.Receipt]
    for class_ in [*classes, _primer.Events, _primer.Topic, _primer.Watch]:
        with pytest.raises(TypeError):
            class_()
