"""Counts words for the demo: worker.py ADDRESS (README.md here says what a worker does)."""

import sys
import threading

import primer


def enqueue(counts: primer.Queue, words: int, headers: dict[str, str]) -> None:
    """Enqueues until two members have it."""
    while True:
        try:
            counts.enqueue(str(words).encode(), headers=headers)
            return
        except (primer.NotNow, primer.InDoubt) as error:
            print(f"again: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Works until standard input ends."""
    node = primer.open(cluster="demo", seeds=[sys.argv[1]], copies=2, on_short="fail", lease="4s", takeover_after="1s")
    sys.stdin.readline()  # the word to begin
    threading.Thread(target=lambda: (sys.stdin.read(), node.close()), daemon=True).start()
    jobs, counts = node.queue("jobs"), node.queue("counts")
    done = again = 0
    try:
        while True:
            batch = jobs.receive_many(8, wait="1s")
            again += sum(job.attempts > 1 for job in batch)
            for place, job in enumerate(batch):
                headers = {"job": str(job.id), "path": dict(job.headers)["path"], "by": "Python"}
                enqueue(counts, len(bytes(job.body).split()), headers)
                try:
                    job.ack()
                except primer.TooLate:
                    pass  # another worker was faster after this lease ran out
                done += 1
                print(len(batch) - place - 1, done, again, flush=True)
    except primer.MemberDown:
        pass


main()
