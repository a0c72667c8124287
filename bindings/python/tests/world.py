"""The members, messages, subscriptions and readers of one scenario, and what each step does to them.

Written once for both faces: ``do`` is told what a verb answered and makes a value of it, which is
nothing to do for the sync face and running the loop for the async one.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from typing import Any

import primer
from scenario import Step, Word

PATIENCE = 20.0
"""The limit, in seconds, of every wait for something that must come; never a measure of speed."""


class Differs(AssertionError):
    """A step gave something else than its file says."""


def millis(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(milliseconds=number)


def _value(word: Word) -> bytes | None:
    """What is under a key: a text, or the word ``none``."""
    return None if word.is_plain(b"none") else word.value


async def _begun(call: Callable[[], Any]) -> asyncio.Task[Any]:
    """A task that has begun."""
    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    return task


def _threaded(call: Callable[[], Any]) -> Future[Any]:
    """A call in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except primer.PrimerError as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class World:
    def __init__(self, face: Any, do: Callable[[Any], Any]) -> None:
        self.face = face
        self.do = do
        self.members: dict[str, Any] = {}
        self.events: dict[str, Any] = {}
        self.ids: dict[str, str] = {}
        self.deliveries: dict[tuple[str, str], list[Any]] = {}
        self.subscriptions: dict[str, tuple[str, Any]] = {}
        self.readers: dict[str, Any] = {}
        self.calls: dict[str, Any] = {}
        self.cursors: dict[str, str] = {}

    def close(self) -> None:
        self.deliveries.clear()
        for member in self.members.values():
            self.do(member.close())

    def step(self, step: Step) -> None:
        """Does one step. Errors: Differs."""
        verb = getattr(self, f"_{step.verb}")
        try:
            verb(step)
        except primer.PrimerError as error:
            if error.number != step.error:
                raise Differs(f"wanted {step.wanted or 'success'}, got {error!r}") from error
            self._check_class(error)
        else:
            if step.error is not None:
                raise Differs(f"wanted error {step.error}, but it succeeded")

    @staticmethod
    def _check_class(error: primer.PrimerError) -> None:
        classes = [primer.WrongCall, primer.NotNow, primer.InDoubt, primer.TooLate, primer.MemberDown]
        if type(error) is not classes[error.number // 100 - 1]:
            raise Differs(f"{error.number} is not a {type(error).__name__}")

    # ---- members ----

    def _open(self, step: Step) -> None:
        options: dict[str, Any] = {key: word.text for key, word in step.options.items()}
        if options:
            # Scenarios of one cluster's name may run side by side: only one that asks for it meets by name.
            options.setdefault("discover", "none")
        if "join" in options:
            options["seeds"] = [self._address_of(name) for name in options.pop("join").split(",")]
        member = self.face.start(**options)
        self.members[step.arg(0)] = member
        self.events[step.arg(0)] = member.events()
        self.do(member.joined())
        self._same(step, "ok")

    def _join(self, step: Step) -> None:
        to = step.args[1]
        self.do(self._member(step).join(to.text if to.is_text else self._address_of(to.text)))
        self._same(step, "ok")

    def _leave(self, step: Step) -> None:
        self.do(self._member(step).leave(drain=millis(step.millis("drain")), force=step.is_true("force")))
        self._same(step, "ok")

    def _close(self, step: Step) -> None:
        self.do(self._member(step).close())
        self._same(step, "ok")

    def _address(self, step: Step) -> None:
        self._same(step, "none" if self._member(step).address is None else "some")

    def _members(self, step: Step) -> None:
        def reachable() -> int:
            return sum(member.is_reachable for member in self.do(self._member(step).members()))

        self._await(step.wanted, lambda: [str(reachable())])

    def _stats(self, step: Step) -> None:
        self._await(step.wanted, lambda: [str(self.do(self._member(step).stats()).get(step.arg(1), 0))])

    @staticmethod
    def _await(wanted: object, ask: Callable[[], object]) -> None:
        """Waits until the answer is the one that is wanted; asking is the scenario language's way."""
        end = time.monotonic() + PATIENCE
        while wanted != (now := ask()):
            if time.monotonic() > end:
                raise Differs(f"wanted {wanted!r:.200}, it is {now!r:.200} after {PATIENCE} s")
            time.sleep(0.01)

    def _event(self, step: Step) -> None:
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            event = self.do(self.events[step.arg(0)].next(left))
            if event is not None and event.kind == step.arg(1):
                return
        raise Differs(f"no event {step.arg(1)} within {PATIENCE} s")

    # ---- messages ----

    def _enqueue_options(self, step: Step) -> dict[str, Any]:
        headers = [(key.removeprefix("header."), word.text) for key, word in step.options.items() if "." in key]
        options: dict[str, Any] = {"headers": headers or None}
        for key, word in step.options.items():
            if key in ("copies", "priority", "max_attempts"):
                options[key] = int(word.text)
            elif key in ("timeout", "delay", "ttl", "dedup_window"):
                options[key] = millis(step.millis(key))
            elif key == "at":
                options[key] = datetime.now(timezone.utc) + timedelta(milliseconds=int(word.text))
            elif key == "at_most_once":
                options[key] = step.is_true(key)
            elif key in ("on_short", "if_no_group", "key", "dedup"):
                options[key] = word.text
        return options

    def _enqueue(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        self._bind_receipts(step, [self.do(queue.enqueue(step.args[2].value, **self._enqueue_options(step)))])

    def _enqueue_many(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        bodies = [word.value for word in step.args[2:]]
        self._bind_receipts(step, self.do(queue.enqueue_many(bodies, **self._enqueue_options(step))))

    def _call(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        options = {"timeout": PATIENCE, **self._enqueue_options(step)}
        call = functools.partial(queue.call, step.args[2].value, **options)
        # It goes on beside the other steps: in a task of the loop's, or in a thread.
        self.calls[step.expect[0][0].text] = self.do(_begun(call)) if self._is_async(queue) else _threaded(call)

    def _reply(self, step: Step) -> None:
        headers = [(key.removeprefix("header."), word.text) for key, word in step.options.items()]
        self.do(self._received(step, 1).reply(step.args[2].value, headers=headers or None))
        self._same(step, "ok")

    def _replied(self, step: Step) -> None:
        call = self.calls.pop(step.arg(0))
        reply = call.result(PATIENCE + 10) if isinstance(call, Future) else self.do(call)
        if step.error is not None:
            return
        body, *headers = step.expect[0]
        if reply.body != body.value:
            raise Differs(f"it was answered {reply.body[:40]!r}")
        for word in headers:
            if reply.headers.get((word.key or "").removeprefix("header.")) != word.text:
                raise Differs(f"wanted {word.key}={word.text!r}, got {reply.header_list}")

    @staticmethod
    def _is_async(queue: Any) -> bool:
        return inspect.iscoroutinefunction(queue.call)

    def _receive(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        options = {"wait": millis(step.millis("wait") or 0), **self._consuming(step)}
        if "max" in step.options:
            received = self.do(queue.receive_many(int(step.options["max"].text), **options))
        else:
            one = self.do(queue.receive(**options))
            received = [] if one is None else [one]
        self._bind_deliveries(step, step.arg(0), received)

    def _browse(self, step: Step) -> None:
        headers = [(key.removeprefix("header."), word.text) for key, word in step.options.items() if "." in key]
        look: dict[str, Any] = {"headers": headers or None, "timeout": PATIENCE}
        for key, word in step.options.items():
            if key == "max":
                look[key] = int(word.text)
            elif key == "body_bytes":
                look["body_bytes_max"] = int(word.text)
            elif key == "timeout":
                look[key] = millis(step.millis(key))
            elif key == "group":
                look[key] = word.text
            elif key == "states":
                look[key] = word.text.split(",")
            elif key == "after":
                look[key] = word.text if word.is_text else self.cursors[word.text]
        page = self.do(self._member(step).queue(step.arg(1)).browse(**look))
        if step.error is None:
            self._check_page(step, page)

    def _check_page(self, step: Step, page: primer.Page) -> None:
        count = 0 if step.wanted == ["empty"] else len(step.expect)
        if len(page) != count:
            raise Differs(f"wanted {count} messages, got {page}")
        for browsed, (name, *words) in zip(page, step.expect[:count], strict=True):
            self._bind(name.text, browsed.id)
            for word in words:
                self._check_browsed(browsed, word)
            has = (browsed.ready_at_ms is not None, browsed.lease_ms is not None, browsed.accepted_ms > 0)
            if has != (browsed.state == "delayed", browsed.state == "leased", True):
                raise Differs(f"its dates do not fit its state: {browsed}")
        missing = int(step.options["missing"].text) if "missing" in step.options else 0
        if len(page.missing) != missing:
            raise Differs(f"{page.missing} are missing, wanted {missing}")
        if "cursor" in step.options:
            cursor = step.options["cursor"].text
            if (cursor == "none") != (page.cursor is None):
                raise Differs(f"wanted cursor {cursor}, got {page.cursor}")
            self.cursors[cursor] = page.cursor or ""

    @staticmethod
    def _check_browsed(browsed: primer.Browsed, word: Word) -> None:
        if word.key is None:
            if browsed.body != word.value:
                raise Differs(f"another body: {browsed}")
        elif word.key == "bytes":
            if browsed.body_bytes != int(word.text):
                raise Differs(f"wanted {word.text} bytes: {browsed}")
        elif word.key in ("attempts", "priority", "copies", "state", "group", "key"):
            if str(getattr(browsed, word.key)) != word.text:
                raise Differs(f"wanted {word.key}={word.text}: {browsed}")
        elif browsed.headers.get(word.key.removeprefix("header.")) != word.text:
            raise Differs(f"wanted {word.key}={word.text!r}: {browsed}")

    def _doctor(self, step: Step) -> None:
        missing = int(step.options["missing"].text) if "missing" in step.options else 0

        def is_found() -> bool:
            told = self.do(self._member(step).queue(step.arg(1)).doctor())
            if step.error is not None or len(told.missing) != missing or len(told) != len(step.expect):
                return False
            pairs = zip(told, step.expect, strict=True)
            return all(self._is_finding(finding, word) for finding, words in pairs for word in words)

        self._await(step.error is None, is_found)

    @staticmethod
    def _is_finding(finding: primer.Finding, word: Word) -> bool:
        if word.key is None:
            return finding.code == word.text
        value = getattr(finding, word.key)
        return str(len(value) if word.key == "members" else value) == word.text

    def _redrive(self, step: Step) -> None:
        headers = [(key.removeprefix("header."), word.text) for key, word in step.options.items() if "." in key]
        redrive: dict[str, Any] = {"headers": headers or None, "timeout": PATIENCE, "dry_run": step.is_true("dry_run")}
        for key, word in step.options.items():
            if key == "max":
                redrive[key] = int(word.text)
            elif key == "timeout":
                redrive[key] = millis(step.millis(key))
            elif key == "to":
                redrive[key] = word.text
            elif key == "ids":
                names = word.text.split(",")
                redrive[key] = names if word.is_text else [self.ids[name] for name in names]
        told = self.do(self._member(step).queue(step.arg(1)).redrive(**redrive))
        if step.error is not None:
            return
        missing = int(step.options["missing"].text) if "missing" in step.options else 0
        if len(told.missing) != missing:
            raise Differs(f"{told.missing} are missing, wanted {missing}")
        for word in (word for words in step.expect for word in words):
            if str(getattr(told, word.key or "")) != word.text:
                raise Differs(f"wanted {word.key}={word.text}: {told}")

    def _explain(self, step: Step) -> None:
        id = step.arg(1) if step.args[1].is_text else self.ids[step.arg(1)]
        missing = int(step.options["missing"].text) if "missing" in step.options else 0

        def is_told() -> bool:
            told = self.do(self._member(step).explain(id))
            return step.error is None and len(told.missing) == missing and self._is_told(step, told)

        self._await(step.error is None, is_told)

    def _is_told(self, step: Step, told: primer.Explanation) -> bool:
        members = [account.member for account in told]
        wanted = sorted((self._id_of(words[0].text), words[1:]) for words in step.expect)
        if members != [member for member, _ in wanted]:
            return False
        return all(
            self._is_so(account, word) for account, (_, words) in zip(told, wanted, strict=True) for word in words
        )

    def _is_so(self, account: primer.Account, word: Word) -> bool:
        if word.key is None:
            of_state = (account.lease_ms is not None, account.ready_at_ms is not None)
            if of_state != (account.known == "leased", account.known == "delayed"):
                return False
            return account.known in (("acked", "forgotten") if word.text == "done" else (word.text,))
        value = getattr(account, word.key)
        if word.key in ("owner", "lessee"):
            return bool(value == self._id_of(word.text))
        return str(len(value) if word.key == "holders" else value) == word.text

    @staticmethod
    def _consuming(step: Step) -> dict[str, Any]:
        options: dict[str, Any] = {"lease": millis(step.millis("lease")), "backlog": step.is_true("backlog")}
        if "group" in step.options:
            options["group"] = step.options["group"].text
        return options

    def _ack(self, step: Step) -> None:
        self.do(self._received(step, 1).ack())
        self._same(step, "ok")

    def _ack_many(self, step: Step) -> None:
        deliveries = [self._received(step, index) for index in range(1, len(step.args))]
        queue = self._member(step).queue(deliveries[0].queue)
        self._same(step, *(str(code) for code in self.do(queue.ack_many(deliveries))))

    def _nack(self, step: Step) -> None:
        self.do(self._received(step, 1).nack(millis(step.millis("delay"))))
        self._same(step, "ok")

    def _release(self, step: Step) -> None:
        self.do(self._received(step, 1).release())
        self._same(step, "ok")

    def _reject(self, step: Step) -> None:
        self.do(self._received(step, 1).reject(step.options["reason"].text))
        self._same(step, "ok")

    def _extend(self, step: Step) -> None:
        self.do(self._received(step, 1).extend(millis(step.millis("lease"))))
        self._same(step, "ok")

    def _drop(self, step: Step) -> None:
        # The last reference: Python lets go of the object, and with it of the lease.
        self.deliveries[step.arg(0), step.arg(1)].pop()

    # ---- subscriptions ----

    def _subscribe(self, step: Step) -> None:
        options = self._consuming(step)
        options["max_run"] = millis(step.millis("max_run"))
        for key in ("credit", "credit_bytes"):
            if key in step.options:
                options[key] = int(step.options[key].text)
        subscription = self._member(step).queue(step.arg(1)).subscribe(**options)
        if step.error is None:
            self.subscriptions[step.expect[0][0].text] = step.arg(0), subscription

    def _next(self, step: Step) -> None:
        member, subscription = self.subscriptions[step.arg(0)]
        one = self.do(subscription.next(millis(step.millis("wait") or 0)))
        self._bind_deliveries(step, member, [] if one is None else [one])

    def _credit(self, step: Step) -> None:
        self.do(self.subscriptions[step.arg(0)][1].credit(int(step.arg(1))))
        self._same(step, "ok")

    def _unsubscribe(self, step: Step) -> None:
        self.do(self.subscriptions[step.arg(0)][1].close())
        self._same(step, "ok")

    # ---- groups ----

    def _create_group(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        self.do(queue.create_group(step.arg(2), backlog=step.is_true("backlog")))
        self._same(step, "ok")

    def _remove_group(self, step: Step) -> None:
        self.do(self._member(step).queue(step.arg(1)).remove_group(step.arg(2)))
        self._same(step, "ok")

    def _groups(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        wanted = [] if step.wanted == ["empty"] else step.wanted
        self._await(wanted, lambda: self.do(queue.groups()))

    # ---- what queues are told ----

    def _configure(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        self.do(queue.configure(**settings_in(step.arg(2))))
        self._same(step, "ok")

    def _configuration(self, step: Step) -> None:
        queue = self._member(step).queue(step.arg(1))
        wanted = [] if step.wanted == ["empty"] else step.wanted
        self._await(wanted, lambda: [f"{key}={value}" for key, value in self.do(queue.configuration()).items()])

    def _pause(self, step: Step) -> None:
        self.do(self._member(step).queue(step.arg(1)).pause(step.arg(2)))
        self._same(step, "ok")

    def _resume(self, step: Step) -> None:
        self.do(self._member(step).queue(step.arg(1)).resume())
        self._same(step, "ok")

    def _purge(self, step: Step) -> None:
        self.do(self._member(step).queue(step.arg(1)).purge())
        self._same(step, "ok")

    def _set_policy(self, step: Step) -> None:
        self.do(self._member(step).set_policy(step.arg(1), **settings_in(step.arg(2))))
        self._same(step, "ok")

    def _remove_policy(self, step: Step) -> None:
        self.do(self._member(step).remove_policy(step.arg(1)))
        self._same(step, "ok")

    def _policies(self, step: Step) -> None:
        member = self._member(step)
        wanted = [] if step.wanted == ["empty"] else step.wanted
        self._await(wanted, lambda: list(self.do(member.policies())))

    # ---- what everyone hears, and who may be a member ----

    def _evict(self, step: Step) -> None:
        self.do(self._member(step).evict(self._id_of(step.arg(1))))
        self._same(step, "ok")

    def _reclaim(self, step: Step) -> None:
        self._same(step, str(self.do(self._member(step).reclaim(keep=step.is_true("keep")))))

    def _rotate(self, step: Step) -> None:
        self.do(self._member(step).rotate(step.arg(1).split(",")))
        self._same(step, "ok")

    def _broadcast(self, step: Step) -> None:
        self.do(self._member(step).broadcast(step.arg(1), step.args[2].value))
        self._same(step, "ok")

    def _on(self, step: Step) -> None:
        self._bind_reader(step, self._member(step).on(step.arg(1)))

    def _watch(self, step: Step) -> None:
        self._bind_reader(step, self._member(step).watch(step.arg(1)))

    def _unlisten(self, step: Step) -> None:
        self.do(self.readers[step.arg(0)].close())
        self._same(step, "ok")

    def _heard(self, step: Step) -> None:
        heard = self.do(self.readers[step.arg(0)].next(PATIENCE))
        if heard is None:
            raise Differs(f"nothing was heard within {PATIENCE} s")
        if step.error is None and heard.body != step.args[1].value:
            raise Differs(f"it heard {len(heard.body)} bytes: {heard.body[:40]!r}")
        if "from" in step.options and heard.from_ != self._id_of(step.options["from"].text):
            raise Differs(f"it heard that from {heard.from_}")

    def _changed(self, step: Step) -> None:
        wanted = primer.Change(step.arg(1), _value(step.args[2])) if step.error is None else None
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            if self.do(self.readers[step.arg(0)].next(left)) == wanted:
                return
        raise Differs(f"no such change within {PATIENCE} s")

    def _put(self, step: Step) -> None:
        self.do(self._member(step).put(step.arg(1), step.args[2].value))
        self._same(step, "ok")

    def _delete(self, step: Step) -> None:
        self.do(self._member(step).delete(step.arg(1)))
        self._same(step, "ok")

    def _get(self, step: Step) -> None:
        wanted = _value(step.expect[0][0])
        self._await(wanted, lambda: self.do(self._member(step).get(step.arg(1))))

    def _list(self, step: Step) -> None:
        groups = [] if step.wanted == ["empty"] else step.expect
        wanted = [(key.text, value.value) for key, value in groups]

        def listed() -> list[tuple[str, bytes]]:
            return [(entry.key, entry.value) for entry in self.do(self._member(step).list(step.arg(1)))]

        self._await(wanted, listed)

    def _bind_reader(self, step: Step, reader: Any) -> None:
        if step.error is None:
            self.readers[step.expect[0][0].text] = reader

    def _id_of(self, name: str) -> str:
        (own,) = [member.id for member in self.do(self.members[name].members()) if member.is_self]
        return str(own)

    # ---- comparing ----

    def _same(self, step: Step, *given: str) -> None:
        if step.wanted and step.error is None and step.wanted != list(given):
            raise Differs(f"wanted {step.wanted}, got {list(given)}")

    def _bind_receipts(self, step: Step, receipts: list[primer.Receipt]) -> None:
        if not step.expect or step.error is not None:
            return
        names = [word.text for word in step.expect[0] if word.key is None]
        if len(names) != len(receipts):
            raise Differs(f"{len(names)} names for {len(receipts)} receipts")
        for name, receipt in zip(names, receipts, strict=True):
            for word in step.expect[0]:
                if word.key is not None and str(getattr(receipt, word.key)).lower() != word.text:
                    raise Differs(f"wanted {word.key}={word.text}, got {receipt!r}")
            self._bind(name, receipt.id)

    def _bind_deliveries(self, step: Step, member: str, deliveries: list[Any]) -> None:
        if not step.expect or step.error is not None:
            return
        count = 0 if step.wanted == ["empty"] else len(step.expect)
        if len(deliveries) != count:
            raise Differs(f"wanted {count} messages, got {deliveries}")
        for delivery, (name, *words) in zip(deliveries, step.expect[:count], strict=True):
            self._bind(name.text, delivery.id)
            for word in words:
                self._check(delivery, word)
            self.deliveries.setdefault((member, name.text), []).append(delivery)

    def _check(self, delivery: Any, word: Word) -> None:
        if word.key is None:
            if delivery.body != word.value or bytes(delivery.view) != word.value:
                raise Differs(f"another body of {len(delivery.body)} bytes: {delivery.body[:40]!r}")
        elif word.key in ("attempts", "priority"):
            if getattr(delivery, word.key) != int(word.text):
                raise Differs(f"wanted {word.key}={word.text}, got {getattr(delivery, word.key)}")
        elif word.key == "key":
            if delivery.key != word.text:
                raise Differs(f"wanted key={word.text!r}, got {delivery.key!r}")
        elif delivery.headers.get(word.key.removeprefix("header.")) != word.text:
            raise Differs(f"wanted {word.key}={word.text!r}, got {delivery.header_list}")

    def _bind(self, name: str, id: str) -> None:
        if self.ids.setdefault(name, id) != id:
            known = [other for other, its in self.ids.items() if its == id]
            raise Differs(f"wanted {name}, got {known or id}")

    def _member(self, step: Step) -> Any:
        return self.members[step.arg(0)]

    def _address_of(self, name: str) -> str:
        address = self.members[name].address
        if not isinstance(address, str):
            raise Differs(f"{name} has no address")
        return address

    def _received(self, step: Step, index: int) -> Any:
        return self.deliveries[step.arg(0), step.arg(index)][-1]


def settings_in(text: str) -> dict[str, Any]:
    """Settings between spaces, by the names of the table, which pass; one without a value is unset."""
    pairs = (pair.partition("=") for pair in text.split())
    return {key: value or None for key, _, value in pairs}
