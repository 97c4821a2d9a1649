"""How long the store's queries take over random events in chdb.

    scripts/bench queries                   100,000 events
    scripts/bench queries 1000000

Prints the best of five: the time on the clock, and the CPU time of all threads.
Good: 300 ms for each over 10 M events on two cores.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pipeline.clickhouse.client import Client
from pipeline.store.migrations import migrate
from pipeline.store.queries.filters import InGroups
from pipeline.store.queries.queries import Queries, forever
from pipeline.store.queries.question import Extent, FacetQuestion
from pipeline.store.queries.search import parse_search

PIECE = 50_000
EVENTS = """
INSERT INTO events (project_id, group_id, timestamp, event_id, received, retention_days, type, platform, level, environment,
  release, `user`, title, message, exception_types, exception_values, tags, tag_keys, tag_values)
WITH toUInt64(pow(rand(2) / 4294967296.0, 4) * 3000) AS g,
  fromUnixTimestamp64Milli(toInt64(toUnixTimestamp(now())) * 1000 - toInt64(rand(3) / 4294967296.0 * 28 * 86400000), 'UTC') AS at,
  ['Chrome', 'Firefox', 'Safari', 'Edge'][1 + rand(4) % 4] AS browser, 'shop@1.' || toString(rand(6) % 30) AS shop,
  'id:' || toString(rand(8) % 20000) AS who,
  ['card was refused', 'no such key', 'connection refused', 'time out'][1 + rand(9) % 4] || ' ' || hex(rand(10)) AS said,
  ['level', 'environment', 'sentry:release', 'sentry:user', 'browser.name', 'handled', 'server_name'] AS names,
  ['error', 'production', shop, who, browser, 'no', 'web-' || toString(rand(15) % 64)] AS texts
SELECT 1 + g % 3, g, at, generateUUIDv4(number), at, 90, 'error', 'python', 'error', 'production', shop, who,
  'Error: ' || said, said, ['Error'], [said],
  CAST(toJSONString(mapFromArrays(arrayMap(x -> replaceAll(x, '.', '%2E'), names), texts)), 'JSON'), names, texts
FROM numbers({number})
"""


def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(f"chdb://{folder}/chdb")
        migrate(client)
        for _ in range(max(1, events // PIECE)):
            client.command(EVENTS.replace("{number}", str(min(events, PIECE))))
        for table in ("events", "group_hours", "tag_days"):
            client.command(f"OPTIMIZE TABLE {table} FINAL")
        ask(Queries(client))
        client.close()


def ask(queries: Queries) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    day = now.replace(hour=0) + timedelta(days=1)
    extent, days = Extent((1,), now - timedelta(days=14), now), Extent((1,), day - timedelta(days=14), day)
    group = InGroups((queries.groups(extent, (), "count", 1)[0].group_id,))
    whole = forever((1,), now)
    text = parse_search("connection", now)
    show("25 groups by count", lambda: queries.groups(extent, (), "count"))
    show("25 groups by users", lambda: queries.groups(extent, (), "users"))
    show("facets of all tags", lambda: queries.facets(FacetQuestion(days)))
    show("facets of all tags of a group", lambda: queries.facets(FacetQuestion(whole, (group,))))
    show("text search, 25 groups", lambda: queries.groups(extent, text, "latest"))
    show("latest event of a group", lambda: queries.events(whole, (group,), 1))
    show("events by hour", lambda: queries.series(extent, 3_600))


def show(name: str, question: Callable[[], object]) -> None:
    clock, cpu = [], []
    for _ in range(5):
        started, used = time.perf_counter(), time.process_time()
        question()
        clock.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    print(f"{name:32} {min(clock) * 1e3:6.0f} ms  {min(cpu) * 1e3:6.0f} ms of CPU", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
