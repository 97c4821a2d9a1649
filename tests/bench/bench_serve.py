"""`pipeline serve`: events a second from HTTP to row, CPU of the process, memory, and the time from a 200 to the row.

.venv/bin/python tests/bench/bench_serve.py [events]
"""

from __future__ import annotations

import http.client
import itertools
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.serve_process import KEY, ServeProcess

from pipeline.runtimes.generated_events import generate_events

SENDERS = 24


def processes_of(group: int) -> list[int]:
    """Return the process, and those that it started: the guard and its Redis have sessions of their own."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [group]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def rss_mb(pids: list[int]) -> float:
    """Return the resident memory of processes together."""
    return sum(
        int(line.split()[1]) / 1e3
        for pid in pids
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Run and print the figures."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    events = [orjson.dumps(event) for event in itertools.islice(generate_events(1), number)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        serve = ServeProcess(Path(folder))
        for what in ("first", "second"):
            began = time.monotonic()
            serve.start()
            print(f"{what} start to ready: {time.monotonic() - began:.1f} s")
            if what == "first":
                serve.stop()
        assert serve.process is not None
        pid = serve.process.pid
        time.sleep(1)
        print(f"idle: {rss_mb(processes_of(pid)):.0f} MB, all processes")

        def send(first: int, step: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=60)
            for body in events[first::step]:
                connection.request("POST", f"/api/1/store/?sentry_key={KEY}", body)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status

        def send_all() -> None:
            threads = [threading.Thread(target=send, args=(first, SENDERS)) for first in range(SENDERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def stored() -> float:
            return serve.metric("pipeline_events_total")

        before, began = cpu_s(pid), time.monotonic()
        send_all()
        accepted = time.monotonic() - began
        while stored() < number:
            time.sleep(0.05)
        took = time.monotonic() - began
        used = cpu_s(pid) - before
        size = sum(map(len, events)) / number
        print(
            f"{number} events of {size:.0f} bytes: accepted {number / accepted:.0f} a second, stored {number / took:.0f} a second"
        )
        print(f"CPU of the process: {used / number * 1e6:.0f} us an event")
        print(f"under load: {rss_mb(processes_of(pid)):.0f} MB, all processes")
        waits = []
        for index in range(40):
            at = stored()
            body = orjson.dumps({"event_id": f"{index + 1:032x}", "message": f"late {index}"})
            connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=60)
            connection.request("POST", f"/api/1/store/?sentry_key={KEY}", body)
            connection.getresponse().read()
            began = time.monotonic()
            while stored() <= at:
                time.sleep(0.01)
            waits.append(time.monotonic() - began)
        waits.sort()
        print(f"from the 200 to the row: median {waits[20] * 1e3:.0f} ms, largest of 40 {waits[-1] * 1e3:.0f} ms")
        serve.stop()


if __name__ == "__main__":
    main()
