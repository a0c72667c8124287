"""Two members, one queue: what one puts in, the other takes out.

build/venv/bin/python examples/python/hello.py
"""

import primer

with primer.open(cluster="hello") as ann, primer.open(cluster="hello", seeds=[ann.address or ""]) as bob:
    receipt = ann.queue("greetings").enqueue(b"hello from ann", copies=2)
    print(f"enqueued {receipt.id}: {receipt.copies} of {receipt.wanted} copies")

    message = bob.queue("greetings").receive(wait="10s")
    if message is None:
        raise SystemExit("nothing came")
    with message:
        print(f'bob received "{message.body.decode()}" (attempt {message.attempts})')
