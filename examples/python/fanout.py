"""Two members, one topic: what one tells, everyone who listens hears, at once and only then.

build/venv/bin/python examples/python/fanout.py
"""

import primer

with primer.open(cluster="fanout") as ann, primer.open(cluster="fanout", seeds=[ann.address or ""]) as bob:
    events = bob.events()
    while sum(member.is_reachable for member in bob.members()) < 2:
        events.next("10s")

    readers = {"ann": ann.on("news"), "bob": bob.on("news"), "bob again": bob.on("news")}
    ann.broadcast("news", b"tea is ready")
    for name, reader in readers.items():
        message = reader.next("10s")
        if message is None:
            raise SystemExit(f"{name} heard nothing")
        print(f"{name} heard: {message.body.decode()}")
