"""One letter through three processes and three languages: Python, Node.js, Erlang, and back.

Each is a member of one cluster, each message has two copies, headers travel unchanged, and when all
is acked nobody holds anything. Closes with `journey: N passed, N failed`.
"""

import subprocess
import sys
from pathlib import Path

import primer

HERE = Path(__file__).parent


def main() -> int:
    """Sends the letter and checks what comes back."""
    passed = failed = 0

    def check(what: str, is_so: bool) -> None:
        nonlocal passed, failed
        passed, failed = passed + is_so, failed + (not is_so)
        if not is_so:
            print(f"journey: not so: {what}")

    with primer.open(cluster="journey", name="python") as member:
        commands = [["node", "step.mjs"], ["escript", "step.escript"]]
        others = [subprocess.Popen([*command, member.address or ""], cwd=HERE) for command in commands]
        try:
            events = member.events()
            while sum(other.is_reachable for other in member.members()) < 3:
                events.next("1s")
                if any(other.poll() is not None for other in others):
                    raise SystemExit("journey: a step ended before it began")
            receipt = member.queue("to-node").enqueue(b"Python", copies=2, headers={"who": "Ada \u2665"})
            check("two members hold the letter", receipt.copies == 2)
            letter = member.queue("to-python").receive(wait="30s")
            check("a letter came back", letter is not None)
            if letter:
                check("it passed through all", bytes(letter.body) == b"Python Node.js Erlang")
                check("its header is whole", dict(letter.headers) == {"who": "Ada \u2665"})
                check("it came once", letter.attempts == 1)
                letter.ack()
            member.queue("stay").enqueue_many([b"", b""], copies=1)
            check("Node.js and Erlang ended well", [other.wait(60) for other in others] == [0, 0])
        finally:
            for other in others:
                other.kill()
                other.wait()
    print(f"journey: {passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
