"""Messages a second and core through the whole path of `store` but Kafka: parse, rows, inserts into chdb with views, synced.

    .venv/bin/python tests/bench/bench_store.py EVENTS.jsonl [messages]

EVENTS.jsonl are storage messages, as a replay writes them. Each gets ids of its own, and a time of the last hour.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import orjson

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.migrations import migrate
from pipeline.store.rows import EventRow, read_storage_message
from pipeline.store.writer import RowWriter

BATCH = 10_000


def messages(file: Path, number: int) -> list[bytes]:
    """Return storage messages with ids and times of their own."""
    patterns = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    chance = random.Random(1)
    found = []
    for at in range(number):
        message = patterns[at % len(patterns)]
        event = message[2]
        event["event_id"] = f"{chance.getrandbits(128):032x}"
        moment = time.gmtime(time.time() - chance.random() * 3_600)
        event["datetime"] = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", moment)
        found.append(orjson.dumps(message))
    return found


def cpu_s() -> float:
    """Return the CPU seconds of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run and print the figures."""
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
    bodies = messages(Path(sys.argv[1]), number)
    size = sum(map(len, bodies)) / number
    with tempfile.TemporaryDirectory() as folder:
        client = Client(f"chdb://{folder}/chdb", memory_bytes=2_000_000_000)
        migrate(client)
        writer = RowWriter(client)
        started, before, parse_cpu = time.monotonic(), cpu_s(), 0.0
        for first in range(0, number, BATCH):
            parse_before = time.thread_time()
            rows = [
                read_storage_message(Record(body, Form.JSON, "events", (0, first + at), time.time(), Token("t", 0, first + at)))
                for at, body in enumerate(bodies[first : first + BATCH])
            ]
            parse_cpu += time.thread_time() - parse_before
            writer.write_events([row for row in rows if isinstance(row, EventRow)], f"bench/{first}")
        used, took = cpu_s() - before, time.monotonic() - started
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        [(rows_stored, bytes_stored)] = client.query(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND table IN ('events')"
        ).rows
    print(f"messages {number}, {size:.0f} bytes each")
    print(f"rows from messages: {number / parse_cpu:.0f} a CPU second")
    print(f"whole path: {number / used:.0f} a CPU second (merges included), {number / took:.0f} a second, {took:.1f} s")
    print(f"largest memory {rss:.0f} MB; events on disk {bytes_stored / rows_stored:.0f} bytes each")


if __name__ == "__main__":
    main()
