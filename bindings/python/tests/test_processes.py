"""What needs a process of its own: Ctrl-C, fork, the end of the interpreter."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
    import atexit, contextlib, multiprocessing, os, signal, sys, threading
    import primer
    from primer import _primer

    def when_waiting(count=1):
        "Returns when so many threads wait inside Primer."
        while _primer.waits() < count:
            threading.Event().wait(0.001)

    def status(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def start(script: str) -> subprocess.Popen[str]:
    source = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "ignore::DeprecationWarning", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str) -> str:
    """What the script prints; it must end well and say nothing on stderr."""
    process = start(script)
    out, err = finish(process)
    assert (process.returncode, err) == (0, ""), f"{process.returncode}\n{out}\n{err}"
    return out


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it says until its end. A process that hangs is ended by SIGABRT: its stacks are told."""
    try:
        return process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        pytest.fail(f"it hung\n{out}\n{err}")


BLOCKED = {
    "receive": 'node.queue("jobs").receive(wait="1h")',
    "receive in a far away queue": 'node.queue("jobs").receive_many(9, wait="1h")',
    "subscription": 'node.queue("jobs").subscribe().next()',
    "iteration": 'list(node.queue("jobs").subscribe())',
    "events": "node.events().next()",
    "topic": 'list(node.on("chat"))',
    "watch": "node.watch().next()",
    "enqueue": 'node.queue("jobs").enqueue(b"x", copies=2, on_short="wait", timeout="1h")',
}


@pytest.mark.parametrize("call", BLOCKED.values(), ids=BLOCKED)
def test_ctrl_c_interrupts_a_wait(call: str) -> None:
    process = start(f"""
        def tell():
            when_waiting()
            print("waiting", flush=True)

        with primer.open(cluster="shop") as node:
            threading.Thread(target=tell).start()
            try:
                {call}
            except KeyboardInterrupt:
                print("interrupted")
        print("closed", node.is_closed)
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert (process.returncode, out, err) == (0, "interrupted\nclosed True\n", "")


def test_ctrl_c_gives_the_demand_back() -> None:
    assert run("""
        with primer.open() as node:
            queue = node.queue("jobs")
            threading.Thread(target=lambda: (when_waiting(), os.kill(os.getpid(), signal.SIGINT))).start()
            try:
                queue.receive(wait="1h")
            except KeyboardInterrupt:
                pass
            # Nobody waits any more, so the message is here for the next one to ask, untouched.
            queue.enqueue(b"x")
            print(queue.receive().attempts)
    """) == "1\n"


def test_a_signal_handler_runs_during_a_wait_and_the_wait_goes_on() -> None:
    assert run("""
        with primer.open() as node:
            queue = node.queue("jobs")
            signal.signal(signal.SIGUSR1, lambda *_: (print("handled"), queue.enqueue(b"from the handler")))
            threading.Thread(target=lambda: (when_waiting(), os.kill(os.getpid(), signal.SIGUSR1))).start()
            print(queue.receive(wait="1h").body)
    """) == "handled\nb'from the handler'\n"


def test_ctrl_c_interrupts_asyncio() -> None:
    process = start("""
        import asyncio

        async def main():
            async with primer.aio.open() as node:
                subscription = node.queue("jobs").subscribe()
                asyncio.get_running_loop().call_soon(lambda: print("waiting", flush=True))
                try:
                    async for message in subscription:
                        pass
                finally:
                    print("left")

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert (process.returncode, out, err) == (0, "left\ninterrupted\n", "")


# ---- fork ----

CHILD_CALLS = """
    node = primer.open(cluster="shop")
    queue = node.queue("jobs", copies=1)
    queue.enqueue_many([b"1", b"2", b"3"])
    message = queue.receive()
    subscription = queue.subscribe(credit=1)
    events = node.events()
    topic = node.on("chat")
    watch = node.watch()
    node.broadcast("chat", b"for the parent")
    completions = _primer.Completions()
    held = [queue.receive()]
    # A thread is inside the core while we fork.
    other = node.queue("other")
    waiter = threading.Thread(target=lambda: other.receive(wait="1h"))
    waiter.start()
    when_waiting()

    CALLS = [
        lambda: node.address, lambda: node.is_closed, node.members, node.stats, node.joined, node.leave, node.close,
        node.events, lambda: node.join("127.0.0.1:1"), lambda: node.queue("x"),
        lambda: queue.enqueue(b"x"), lambda: queue.enqueue_many([b"x"]), lambda: queue.receive(wait="1h"),
        lambda: queue.receive_many(2), lambda: queue.ack_many([message]), queue.subscribe,
        lambda: message.id, lambda: message.body, lambda: message.view, lambda: message.headers,
        lambda: message.attempts, lambda: message.queue, message.ack, message.nack, message.release, message.extend,
        lambda: subscription.queue, subscription.next, lambda: next(iter(subscription)),
        lambda: subscription.credit(1), subscription.close,
        events.next, events.take, lambda: events.missed, lambda: next(events), events.close,
        topic.next, topic.take, lambda: topic.missed, lambda: next(topic), topic.close,
        watch.next, watch.take, lambda: watch.missed, lambda: next(watch), watch.close,
        lambda: node.evict("f" * 32), lambda: node.reclaim(keep=True), lambda: node.rotate(["secret"]),
        lambda: node.broadcast("chat", b"x"), lambda: node.on("chat"), node.watch,
        lambda: node.put("key", b"x"), lambda: node.get("key"), lambda: node.delete("key"), node.list,
        completions.descriptor, lambda: completions.drain(1), lambda: completions.cancel(1), completions.close,
    ]

    def child():
        "Exits 0 when every call of the child is refused as it should be."
        for call in CALLS:
            try:
                call()
            except primer.MemberDown as error:
                if (error.number, error.reason) == (501, "forked"):
                    continue
            return 1
        if "forked" not in repr(node) or "forked" not in repr(message):
            return 2
        # Letting go of the parent's things changes nothing for the parent.
        held.clear()
        with topic, watch, subscription:
            pass
        # A member of the child's own works, also with waits.
        with primer.open() as mine:
            own = mine.queue("jobs")
            threading.Thread(target=lambda: (when_waiting(), own.enqueue(b"own"))).start()
            if own.receive(wait="1h").body != b"own":
                return 3
        return 0
"""

PARENT_LIVES = """
    assert queue.receive(wait=0) is None, "the child's garbage released the parent's delivery"
    other.enqueue(b"go")
    waiter.join()
    message.ack()
    held[0].ack()
    assert topic.next("20s").body == b"for the parent", "the child closed the parent's reader"
    print(subscription.next("20s").body, node.is_closed)
    node.close()
"""


def test_a_forked_child_is_refused_and_may_open_its_own() -> None:
    assert run(CHILD_CALLS + """
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = child()
        finally:
            os._exit(code)
    print(status(pid))
    """ + PARENT_LIVES) == "0\nb'2' False\n"


def test_a_forked_child_may_end_like_any_process() -> None:
    # It leaves the parent's `with` block and runs the exit handlers that it inherited.
    assert run(CHILD_CALLS + """
    with node:
        pid = os.fork()
        if pid == 0:
            code = child()
            del message, subscription, events, topic, watch, completions
            sys.exit(code)
        print(status(pid))
        """ + textwrap.indent(textwrap.dedent(PARENT_LIVES), "        ").lstrip()) == "0\nb'2' False\n"


def test_multiprocessing_fork() -> None:
    assert run("""
        def work(address, number):
            try:
                queue.enqueue(b"from a child by the parent's handle")
            except primer.MemberDown as error:
                assert error.reason == "forked"
            with primer.open(cluster="shop", seeds=[address]) as mine:
                with mine.queue("jobs").receive(wait="60s") as message:
                    mine.queue("results").enqueue(message.body)
                mine.leave()

        with primer.open(cluster="shop") as node:
            queue = node.queue("jobs", copies=1)
            queue.enqueue_many([b"0", b"1", b"2"])
            context = multiprocessing.get_context("fork")
            children = [context.Process(target=work, args=(node.address, number)) for number in range(3)]
            for one in children:
                one.start()
            for one in children:
                one.join()
            print([one.exitcode for one in children])
            print(sorted(message.body for message in node.queue("results").receive_many(9)), queue.receive())
    """) == "[0, 0, 0]\n[b'0', b'1', b'2'] None\n"


# ---- the end of the interpreter ----

BUSY = """
    nodes = [primer.open(cluster="shop") for _ in range(2)]
    nodes.append(primer.open(cluster="shop", seeds=[nodes[0].address]))
    queue = nodes[2].queue("jobs")
    broadcast = nodes[2].broadcast
    queue.enqueue_many([b"x"] * 100)
    held = queue.receive_many(10)
    subscription = nodes[0].queue("jobs").subscribe()

    def wait():
        try:
            nodes[0].queue("empty").receive(wait="1h")
        except primer.MemberDown:
            pass

    def iterate():
        for message in nodes[0].queue("other").subscribe():
            pass

    def watch():
        for event in nodes[0].events():
            pass

    def listen():
        for message in nodes[0].on("chat"):
            pass

    def storm():
        try:
            while True:
                queue.enqueue(b"y", copies=2)
                # Mostly refused: the errors are made in this thread, to the end.
                with contextlib.suppress(primer.NotNow):
                    broadcast("chat", b"y")
        except primer.MemberDown:
            pass

    for target in (wait, wait, iterate, watch, listen, storm):
        threading.Thread(target=target, daemon=True).start()
    when_waiting(5)
"""

ENDINGS = {
    "falling off the end": "",
    "sys.exit": "sys.exit(0)",
    "leaving a generator open": "kept = iter(subscription); next(kept)",
    "a cycle": "loop = [nodes, held, subscription]; loop.append(loop); del nodes",
}


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_clean_exit_with_everything_open(ending: str, attempt: int) -> None:
    assert run(f"{BUSY}    print('end')\n    {ending}\n") == "end\n"


@pytest.mark.parametrize("attempt", range(5))
def test_an_exit_with_an_uncaught_error(attempt: int) -> None:
    process = start(BUSY + "    raise SystemExit(7)\n")
    out, err = finish(process)
    assert (process.returncode, out, err) == (7, "", "")


@pytest.mark.parametrize("attempt", range(5))
def test_an_exit_during_asyncio(attempt: int) -> None:
    assert run("""
        import asyncio

        async def main():
            # In development mode asyncio complains of slow steps: a busy machine is nobody's mistake.
            asyncio.get_running_loop().slow_callback_duration = 120
            node = await primer.aio.open()
            tasks = [asyncio.create_task(node.queue("jobs").receive(wait="1h")) for _ in range(3)]
            await asyncio.sleep(0)
            print("end")

        asyncio.run(main())
    """) == "end\n"


def test_ordinary_threads_keep_the_process_as_always() -> None:
    assert run("""
        node = primer.open()
        queue = node.queue("jobs")
        end = threading.Event()

        def work():
            end.wait()
            # The main thread has come to its end: only we keep the process.
            print(queue.receive(wait="1h").body)

        threading.Thread(target=work).start()
        queue.enqueue(b"last work")
        end.set()
    """) == "b'last work'\n"


def test_ctrl_c_ends_a_process_that_only_waiting_threads_keep() -> None:
    # Python joins its threads before it closes anything; Ctrl-C breaks that off, and the exit
    # handler closes the member, which lets the thread go: how far it then comes is Python's affair.
    process = start("""
        node = primer.open()
        queue = node.queue("jobs")

        def wait():
            try:
                queue.receive(wait="1h")
            except primer.MemberDown:
                pass

        def tell():
            threading.main_thread().join()
            when_waiting()
            print("waiting", flush=True)

        threading.Thread(target=wait).start()
        threading.Thread(target=tell, daemon=True).start()
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = finish(process)
    assert (process.returncode, out) == (0, "")
    assert err.rstrip().endswith("KeyboardInterrupt:")


def test_an_exit_handler_may_still_join_its_threads() -> None:
    # Registered before primer was imported, so it runs after the members were closed.
    assert run("""
        thread = threading.Thread(target=lambda: list(subscription), daemon=True)
        atexit.unregister(primer._lifetime._close_all)
        atexit.register(lambda: (thread.join(), print("joined")))
        atexit.register(primer._lifetime._close_all)
        subscription = primer.open().queue("jobs").subscribe()
        thread.start()
        when_waiting()
    """) == "joined\n"


def test_no_thread_is_left_inside_when_the_interpreter_is_torn_down() -> None:
    script = """
        atexit.unregister(primer._lifetime._close_all)
        atexit.register(lambda: print(_primer.waits(), [node.is_closed for node in nodes]))
        atexit.register(primer._lifetime._close_all)
    """
    assert run(BUSY + textwrap.indent(textwrap.dedent(script), "    ")) == "0 [True, True, True]\n"


def test_a_member_that_is_garbage_closes() -> None:
    assert run("""
        import gc

        first = primer.open(cluster="shop")
        second = primer.open(cluster="shop", seeds=[first.address])
        events = first.events()
        while len(first.members()) < 2:
            threading.Event().wait(0.001)
        del second
        gc.collect()
        while (event := events.next()).kind != "unreachable":
            pass
        print(event.kind)
    """) == "unreachable\n"
