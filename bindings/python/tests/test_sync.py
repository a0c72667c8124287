"""The sync idioms: context managers, iterators, settling, closing."""

from __future__ import annotations

import gc
import threading

import pytest

import primer
from primer import _primer


def one(queue: primer.Queue) -> primer.Delivery:
    """The message that must be there."""
    message = queue.receive(wait="20s")
    assert message is not None
    return message


def test_leaving_acks(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    with one(queue) as message:
        assert not message.is_settled
    assert message.is_settled
    with pytest.raises(primer.TooLate) as caught:
        message.ack()
    assert caught.value.number == 402
    assert queue.receive() is None


def test_an_exception_nacks(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    with pytest.raises(ZeroDivisionError) as caught, one(queue) as message:
        raise ZeroDivisionError
    assert not hasattr(caught.value, "__notes__")
    assert "nacked" in repr(message)
    # Nacked with the back-off: not at once, and the attempt counted.
    assert queue.receive() is None
    again = one(queue)
    assert (again.id, again.attempts) == (message.id, 2)


def test_an_interruption_releases(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    with pytest.raises(KeyboardInterrupt), one(queue) as message:
        raise KeyboardInterrupt
    assert "released" in repr(message)
    assert one(queue).attempts == 1


def test_what_was_settled_inside_is_not_settled_again(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    with one(queue) as message:
        message.nack(0)
    again = one(queue)
    assert again.attempts == 2
    with again:
        assert queue.ack_many([again]) == [0]


def test_a_settling_that_fails_does_not_hide_the_handlers_exception(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    first = queue.receive(lease="1ms")
    assert first is not None
    second = one(queue)
    with pytest.raises(ZeroDivisionError) as caught, first:
        raise ZeroDivisionError
    assert any("401" in note for note in caught.value.__notes__)
    second.ack()


def test_garbage_is_released(queue: primer.Queue) -> None:
    queue.enqueue(b"x")
    message: primer.Delivery | None = one(queue)
    assert queue.receive() is None
    message = None
    gc.collect()
    assert message is None
    assert one(queue).attempts == 1


def test_defaults_of_a_queue_handle(node: primer.Primer) -> None:
    queue = node.queue("jobs", copies=3, on_short="fail", lease="1ms")
    with pytest.raises(primer.NotNow) as caught:
        queue.enqueue(b"x")
    assert caught.value.number == 202
    assert queue.enqueue(b"x", on_short="degrade").wanted == 3
    assert queue.enqueue_many([b"y"], copies=1)[0].wanted == 1
    first, _ = queue.receive_many(2)
    # The handle's lease of a millisecond ran out: the same message comes again.
    again = queue.receive(wait="20s", lease="60s")
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)


def test_a_subscription_is_iterated_and_ends_with_its_member() -> None:
    seen = []
    with primer.open() as node:
        queue = node.queue("jobs")
        queue.enqueue_many([b"1", b"2", b"3"])
        for message in queue.subscribe(credit=1):
            with message:
                seen.append(message.body)
            if len(seen) == 3:
                node.close()
    assert seen == [b"1", b"2", b"3"]


def test_a_closed_subscription_ends_in_another_thread(queue: primer.Queue) -> None:
    subscription = queue.subscribe()
    seen: list[primer.Delivery] = []
    waits = _primer.waits()
    thread = threading.Thread(target=lambda: seen.extend(subscription))
    thread.start()
    while _primer.waits() == waits:
        thread.join(0.001)
    subscription.close()
    thread.join()
    assert seen == []


def test_leaving_a_subscription_gives_back_what_was_not_taken(queue: primer.Queue) -> None:
    queue.enqueue_many([b"1", b"2", b"3"])
    with queue.subscribe(credit=2) as subscription:
        taken = subscription.next("20s")
        assert taken is not None
    with pytest.raises(primer.MemberDown):
        subscription.next(0)
    given_back = [one(queue), one(queue)]
    assert {message.body for message in given_back} == {b"2", b"3"}
    taken.ack()


def test_an_empty_wait_is_no_error(queue: primer.Queue) -> None:
    assert queue.receive() is None
    assert queue.receive(wait="1ms") is None
    assert queue.receive_many(5) == []
    with queue.subscribe() as subscription:
        assert subscription.next(0) is None
        assert subscription.next("60ms") is None


def test_events_are_iterated_and_end_with_the_member() -> None:
    with primer.open(cluster="shop") as first:
        events = first.events()
        with primer.open(cluster="shop", seeds=[first.address or ""]) as second:
            event = next(events)
            assert (event.kind, event.member) == ("joined", next(m.id for m in second.members() if m.is_self))
            assert event.at_ms > 0
        assert events.missed == 0
    assert [event.kind for event in events if event.kind == "joined"] == []
    assert events.take() == []


def test_use_after_close_is_501() -> None:
    with primer.open() as node:
        queue = node.queue("jobs")
        queue.enqueue_many([b"1", b"2"])
        message = one(queue)
        subscription = queue.subscribe()
        events = node.events()
    node.close()
    assert node.is_closed
    for call in (
        node.members,
        node.stats,
        node.leave,
        lambda: node.join("127.0.0.1:1"),
        lambda: node.queue("x"),
        lambda: queue.enqueue(b"x"),
        lambda: queue.enqueue_many([b"x"]),
        lambda: queue.receive(wait="20s"),
        lambda: queue.receive_many(2),
        lambda: queue.ack_many([message]),
        queue.subscribe,
        message.ack,
        message.nack,
        message.release,
        message.extend,
        lambda: subscription.credit(1),
        lambda: events.next("20s"),
    ):
        with pytest.raises(primer.MemberDown) as caught:
            call()
        assert (caught.value.number, caught.value.kind) == (501, "Closed")
    assert node.address is None or isinstance(node.address, str)


def test_closing_answers_threads_that_wait() -> None:
    node = primer.open()
    queue = node.queue("jobs")
    numbers: list[int] = []

    def wait() -> None:
        try:
            queue.receive(wait="1h")
        except primer.MemberDown as error:
            numbers.append(error.number)

    before = _primer.waits()
    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    while _primer.waits() < before + 4:
        threads[0].join(0.001)
    node.close()
    for thread in threads:
        thread.join()
    assert numbers == [501] * 4
    assert _primer.waits() == before


def test_a_waiting_thread_does_not_hold_the_interpreter(queue: primer.Queue) -> None:
    bodies: list[bytes] = []

    def wait() -> None:
        message = queue.receive(wait="1h")
        assert message is not None
        with message:
            bodies.append(message.body)

    before = _primer.waits()
    thread = threading.Thread(target=wait)
    thread.start()
    # This loop, and the enqueue after it, run while the other thread is inside its wait.
    while _primer.waits() == before:
        thread.join(0.001)
    queue.enqueue(b"go on")
    thread.join()
    assert bodies == [b"go on"]


def test_many_threads_share_a_member(queue: primer.Queue) -> None:
    done: list[str] = []

    def work() -> None:
        for message in queue.subscribe(credit=8):
            with message:
                done.append(message.id)
                if len(done) == 400:
                    node_done.set()

    node_done = threading.Event()
    node = primer.open()
    queue = node.queue("jobs")
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    makers = [threading.Thread(target=lambda: [queue.enqueue(b"x") for _ in range(100)]) for _ in range(4)]
    for maker in makers:
        maker.start()
    assert node_done.wait(60)
    node.close()
    for thread in [*workers, *makers]:
        thread.join()
    assert len(set(done)) == 400
