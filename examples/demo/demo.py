"""The main job on real input: README.md here says what happens. demo.py --c PATH [--small]

Closes with `demo: files=N words=W lost=0 duplicates=D killed=1`; exit 1 when a count is missing or
differs from what this process counts by itself.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import primer

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BYTES_MAX = 256 << 10
FILES = 3_000
FILES_SMALL = 400
#: No count for so many seconds and the demo has failed.
SILENCE = 60


def corpus(limit: int) -> list[Path]:
    """Files of the crates that the build fetched, sorted, the first of them up to a size."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--offline"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
    crates = [Path(package["manifest_path"]).parent for package in metadata["packages"] if package["source"]]
    files = (file for crate in crates for file in crate.rglob("*") if file.is_file())
    fitting = sorted(file for file in files if 0 < file.stat().st_size <= BYTES_MAX)
    step = max(1, len(fitting) // limit)
    return fitting[::step][:limit]


class Worker:
    """A worker's process and its last words."""

    #: Told whenever some worker said something.
    news = threading.Condition()

    def __init__(self, name: str, language: str, command: list[str], environment: dict[str, str] | None = None):
        self.name, self.language = name, language
        self.held = self.done = self.again = 0
        self.state = "working"
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=HERE
        )
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        """Each line is `held done again`."""
        assert self.process.stdout
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 3:  # a killed one may leave half a line
                with Worker.news:
                    self.held, self.done, self.again = map(int, words)
                    Worker.news.notify_all()

    def kill_midway(self, workers: list["Worker"], done: int, leases: list[int]) -> None:
        """SIGKILL once `done` jobs are done and this one just said that it holds some leases."""
        with Worker.news:
            Worker.news.wait_for(lambda: sum(w.done for w in workers) >= done and self.held >= 2)
            self.state = "killed"
            self.process.kill()
            leases.append(self.held)
        self.process.wait()

    def check(self) -> None:
        """A worker that ended by itself ends the demo."""
        if self.state == "working" and self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with {self.process.returncode}")

    def begin(self) -> None:
        """Tells it to take jobs from now on."""
        assert self.process.stdin
        print("begin", file=self.process.stdin, flush=True)

    def end(self) -> None:
        """Closes its standard input and waits for its end."""
        if self.state == "working":
            assert self.process.stdin
            self.process.stdin.close()
            if self.process.wait() != 0:
                raise SystemExit(f"{self.name} ended with {self.process.returncode}")
            self.state = "ended"


def start_workers(address: str, c_worker: str) -> list[Worker]:
    """One for each language, and a second one for Node.js: that one will die."""
    return [
        Worker("node-1", "Node.js", ["node", "worker.mjs", address]),
        Worker("node-2", "Node.js", ["node", "worker.mjs", address]),
        Worker("erlang", "Erlang", ["escript", "worker.escript", address]),
        Worker("c", "C", [c_worker, address]),
        Worker("python", "Python", [sys.executable, "worker.py", address]),
    ]


def enqueue(jobs: primer.Queue, files: list[Path], expected: dict[str, int]) -> None:
    """One job a file with two copies; tried again until it has its receipt, so it may come twice."""
    for file in files:
        body = file.read_bytes()
        expected[str(file)] = len(body.split())
        while True:
            try:
                jobs.enqueue(body, headers={"path": str(file)})
                break
            except (primer.NotNow, primer.InDoubt) as error:
                print(f"  again: {error}", flush=True)


class Screen:
    """Progress: redrawn on a terminal, now and then a line elsewhere."""

    def __init__(self, workers: list[Worker], total: int):
        self.workers, self.total = workers, total
        self.is_terminal = sys.stdout.isatty()
        self.drawn = 0.0

    def show(self, collected: int) -> None:
        """Draws at most ten times a second on a terminal, once in two seconds elsewhere."""
        if time.monotonic() - self.drawn < (0.1 if self.is_terminal else 2.0):
            return
        self.drawn = time.monotonic()
        parts = [f"{w.name} {w.done}" + (f" (+{w.held} leased)" if w.held else "") for w in self.workers]
        line = f"  {collected:5} of {self.total} counts   " + "   ".join(parts)
        print(f"\r{line[:150]}\x1b[K" if self.is_terminal else line, end="" if self.is_terminal else "\n", flush=True)

    def check(self) -> None:
        """Ends the demo when a worker ended by itself."""
        for worker in self.workers:
            worker.check()

    def table(self) -> None:
        """What each worker did."""
        if self.is_terminal:
            print("\r\x1b[K", end="")
        print(f"\n  {'worker':<10}{'language':<10}{'jobs done':>10}{'redelivered to it':>20}   end")
        for w in self.workers:
            print(f"  {w.name:<10}{w.language:<10}{w.done:>10}{w.again:>20}   {w.state}")


def collect(counts: primer.Queue, screen: Screen, files: int) -> tuple[dict[str, int], int]:
    """Takes counts in until every file has one. Answers them and how many came more than once."""
    results: dict[str, int] = {}
    answered: set[str] = set()
    duplicates = quiet = 0
    while len(results) < files:
        batch = counts.receive_many(64, wait="5s")
        if not batch:
            quiet += 5
            screen.check()
            if quiet > SILENCE:
                break
            continue
        quiet = 0
        for message in batch:
            headers = dict(message.headers)
            # The same job twice, or the same count twice: either way known by the job's message id.
            if headers["job"] in answered or headers["path"] in results:
                duplicates += 1
            answered.add(headers["job"])
            results[headers["path"]] = int(message.body)
            message.ack()
        screen.show(len(results))
    return results, duplicates


def main() -> int:
    """Runs the whole of it."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--c", required=True, help="the C worker")
    arguments.add_argument("--small", action="store_true", help="few files, as a smoke test")
    options = arguments.parse_args()
    files = corpus(FILES_SMALL if options.small else FILES)
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    print(f"\n  {len(files)} source files, {megabytes:.1f} MB; each becomes a message with two copies")

    with primer.open(cluster="demo", copies=2, on_short="fail", lease="4s", takeover_after="1s") as node:
        workers = start_workers(node.address or "", options.c)
        try:
            events = node.events()
            while sum(member.is_reachable for member in node.members()) < len(workers) + 1:
                events.next("1s")
                for worker in workers:
                    worker.check()
            print(f"  {len(workers) + 1} processes are one cluster: a Python producer at {node.address}, "
                  "and workers in Node.js, Erlang, C and Python\n")
            begun = time.monotonic()
            expected: dict[str, int] = {}
            enqueue(node.queue("jobs"), files, expected)
            print(f"  all jobs are enqueued, each held by two members, after {time.monotonic() - begun:.1f} s\n")
            victim, leases = workers[1], list[int]()
            killing = (workers, len(files) // 4, leases)
            threading.Thread(target=victim.kill_midway, args=killing, daemon=True).start()
            for worker in workers:
                worker.begin()
            screen = Screen(workers, len(files))
            results, duplicates = collect(node.queue("counts"), screen, len(files))
            took = time.monotonic() - begun
            for worker in workers:
                worker.end()
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()
        screen.table()

    lost = sum(path not in results for path in expected)
    wrong = sum(results.get(path, words) != words for path, words in expected.items())
    killed = sum(worker.state == "killed" for worker in workers)
    again = sum(worker.again for worker in workers)
    held = sum(leases)
    print(f"\n  node-2 was killed with {held} jobs on lease; {again} jobs were delivered again, "
          f"{duplicates} counts came twice and were told apart by their message ids")
    print(f"  {sum(results.values()):,} words counted by the cluster, {sum(expected.values()):,} by one process, "
          f"{wrong} files differ; {took:.1f} s\n")
    print(f"demo: files={len(expected)} words={sum(results.values())} lost={lost} duplicates={duplicates} killed={killed}")
    is_right = lost == 0 and wrong == 0 and killed == 1 and held > 0 and results.keys() == expected.keys()
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
