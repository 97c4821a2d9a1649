"""The queries against the slow reference: 5,000 random events, and 500 random questions about them.

Project 1 has no overrides, project 2 has merges and deletions that the roll-ups can tell, project 3 has all kinds.
"""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from support.clickhouse import fresh_token, open_chdb
from support.event_reference import Event, Reference

from pipeline.clickhouse.client import Client
from pipeline.store.columns import NIL
from pipeline.store.queries.answers import utc
from pipeline.store.queries.fields import FIELDS, AnyField, FieldKind, Tag, find_field
from pipeline.store.queries.filters import (
    Compares,
    Contains,
    Filter,
    FirstRelease,
    Has,
    HasStatus,
    InGroups,
    Matches,
    Relation,
    Status,
    TextPattern,
    Total,
    TotalIs,
)
from pipeline.store.queries.queries import Queries, bucket_starts, forever
from pipeline.store.queries.question import (
    COUNT,
    EARLIEST,
    LATEST,
    USERS,
    AnyKey,
    EventQuestion,
    Extent,
    FacetQuestion,
    GroupKey,
    Measure,
    MeasureKind,
    TimeKey,
)

DAYS = 20
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
BEGIN = TODAY - timedelta(days=DAYS)
EVENTS = 5_000
STEP_MS = DAYS * 86_400_000 // EVENTS
QUESTIONS = 500
AT_ONCE = 25

GROUPS = [*range(14), 77, 2**64 - 7, 1_000, 2_001, 3_002]
WORDS = ["time out", "Connection", "refused", "100%", "under_score", "back\\slash", "Ärger", "x'; DROP TABLE events; --", "\x00"]
TEXT = {
    "level": ["error", "warning", "fatal"],
    "release": ["", "shop@1.0", "shop@1.1", "shop@2.0"],
    "environment": ["", "production", "staging"],
    "platform": ["python", "javascript"],
    "transaction": ["/pay", "/cart", ""],
    "user": ["", *(f"id:{number}" for number in range(30))],
    "user_email": ["", "a@example.org", "b@example.org"],
    "logger": ["", "shop.pay"],
    "http_method": ["GET", ""],
}
TEXTS = {
    "exception_types": ["TypeError", "ValueError", "KeyError", ""],
    "exception_values": ["time out", "no such key", ""],
    "frame_filenames": ["app.js", "lib/util.js", "main.py"],
    "frame_functions": ["pay", "cart", "main"],
}
TAGS = {
    "browser.name": ["Firefox", "Chrome", "Mobile Safari"],
    "os": ["Linux", "2024-01-01", "12", "true"],
    "odd key": ["1", "2"],
    "^a": ["x", "y"],
    "url": ["https://example.org/a", "https://example.org/b?x=%41"],
    "empty": ["", "full"],
}


def make_events(chance: random.Random) -> list[Event]:
    events = []
    for number in range(EVENTS):
        project = chance.choice((1, 2, 3))
        group = chance.choice([*range(1, 13), 2**64 - 7, project * 1_000 + chance.randrange(4)])
        at = BEGIN + timedelta(milliseconds=number * STEP_MS + chance.randrange(STEP_MS))
        tags = sorted((key, chance.choice(values)) for key, values in TAGS.items() if chance.random() < 0.6)
        if chance.random() < 0.1:
            tags = sorted([*tags, ("os", "second")])
        event: Event = {
            "project_id": project,
            "group_id": group,
            "timestamp": at,
            "event_id": str(uuid.UUID(int=chance.getrandbits(128))),
            "received": at + timedelta(seconds=chance.choice((0, 1, 3_000))),
            "retention_days": chance.choice((90, 365)),
            "primary_hash": str(uuid.UUID(int=group * 2 + chance.randrange(2) + 1)),
            "title": chance.choice(WORDS),
            "message": f"{chance.choice(WORDS)} {chance.choice(WORDS)}",
            "trace_id": chance.choice((NIL, str(uuid.UUID(int=chance.randrange(5) + 1)))),
            "is_in_main_thread": chance.choice((None, 0, 1)),
            "mechanism_handled": chance.choices((None, 0, 1), k=chance.randrange(3)),
            "tag_keys": [key for key, _ in tags],
            "tag_values": [value for _, value in tags],
        }
        event |= {name: chance.choice(values) for name, values in TEXT.items()}
        event |= {name: chance.choices(values, k=chance.randrange(4)) for name, values in TEXTS.items()}
        events.append(event)
    return events


def written(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def store(client: Client, table: str, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), 1_000):
        lines = [orjson.dumps({key: written(value) for key, value in row.items()}) for row in rows[start : start + 1_000]]
        client.insert(table, b"\n".join(lines), fresh_token())


@pytest.fixture(scope="module")
def world() -> tuple[Queries, Reference]:
    pytest.importorskip("chdb")
    client = open_chdb()
    for table in ("events", "group_hours", "tag_days", "group_overrides", "event_overrides", "group_status"):
        client.command(f"TRUNCATE TABLE {table}")
    chance = random.Random(7)
    events = make_events(chance)
    rows = []
    for event in events:
        tags = dict(reversed(list(zip(event["tag_keys"], event["tag_values"], strict=True))))
        rows.append(event | {"tags": tags})
    chance.shuffle(rows)
    store(client, "events", rows)
    never, later = datetime(1970, 1, 1, tzinfo=UTC), TODAY + timedelta(days=1)
    half = BEGIN + timedelta(days=DAYS / 2)
    of_groups = {
        (2, 1, NIL): (2, never),
        (2, 3, NIL): (2, never),
        (2, 4, str(uuid.UUID(int=9))): (77, never),
        (2, 3, str(uuid.UUID(int=7))): (3, never),
        (2, 5, NIL): (5, later),
        (3, 1, NIL): (2, never),
        (3, 6, NIL): (6, half),
        (3, 7, NIL): (2, half),
        (3, 8, str(uuid.UUID(int=17))): (8, later),
    }
    store(
        client,
        "group_overrides",
        [
            {
                "project_id": project,
                "group_id": group,
                "primary_hash": hash_,
                "into_group": into,
                "deleted_until": until,
                "changed_at": TODAY,
            }
            for (project, group, hash_), (into, until) in of_groups.items()
        ]
        + [
            {
                "project_id": 2,
                "group_id": 1,
                "primary_hash": NIL,
                "into_group": 9,
                "deleted_until": later,
                "changed_at": TODAY - timedelta(days=1),
            }
        ],
    )
    moved = [event for event in events if event["project_id"] == 3][:40]
    of_events = {(3, event["event_id"]): number % 4 for number, event in enumerate(moved)}
    store(
        client,
        "event_overrides",
        [
            {"project_id": project, "event_id": event_id, "into_group": into, "changed_at": TODAY}
            for (project, event_id), into in of_events.items()
        ],
    )
    statuses = {(project, group): chance.choice(list(Status)) for project in (1, 2, 3) for group in (2, 4, 6, 9, 2**64 - 7)}
    store(
        client,
        "group_status",
        [
            {"project_id": project, "group_id": group, "status": status.value, "changed_at": TODAY}
            for (project, group), status in statuses.items()
        ],
    )
    return Queries(client), Reference(events, of_groups, of_events, statuses)


def random_extent(chance: random.Random) -> Extent:
    projects = tuple(chance.sample((1, 2, 3, 4), k=chance.randrange(1, 3)))
    if chance.random() < 0.5:  # whole days or hours, which roll-ups can answer
        step = timedelta(hours=chance.choice((1, 24)))
        steps = round(timedelta(days=DAYS) / step)
        start, end = sorted(chance.sample(range(steps + 1), k=2))
        return Extent(projects, BEGIN + start * step, BEGIN + end * step)
    start, end = sorted(chance.sample(range(DAYS * 86_400_000), k=2))
    return Extent(projects, BEGIN + timedelta(milliseconds=start), BEGIN + timedelta(milliseconds=end))


FILTER_FIELDS: list[AnyField] = [field for field in FIELDS.values() if field.column in TEXT or field.column in TEXTS]
TAG_FIELDS: list[AnyField] = [find_field(key) if key != "url" else Tag(key) for key in TAGS]


def values_of(field: AnyField) -> list[str]:
    return TAGS[field.key] if isinstance(field, Tag) else TEXT.get(field.column) or TEXTS[field.column]


def random_value(chance: random.Random, field: AnyField) -> str | TextPattern:
    value = chance.choice([*values_of(field), "", "nothing"])
    if chance.random() < 0.3:
        cut = chance.randrange(len(value) + 1)
        pieces = (value[:cut], value[cut + 1 :])
        return TextPattern(tuple(piece.upper() if chance.random() < 0.5 else piece for piece in pieces))
    return value


def random_filter(chance: random.Random) -> Filter:
    is_negated = chance.random() < 0.3
    field = chance.choice([*FILTER_FIELDS, *TAG_FIELDS])
    relation = chance.choice(list(Relation))
    match chance.randrange(10):
        case 0 | 1:
            return Matches(field, tuple(random_value(chance, field) for _ in range(chance.randrange(1, 4))), is_negated)
        case 2:
            return Has(chance.choice([field, FIELDS["trace"], FIELDS["error.handled"], FIELDS["error.main_thread"]]), is_negated)
        case 3:
            word = chance.choice(WORDS)
            return Contains(chance.choice([(word,), (word.upper(),), (word[:2], word[3:])]), is_negated)
        case 4:
            name = chance.choice(["error.handled", "error.main_thread"])
            return Compares(FIELDS[name], Relation.EQUAL, chance.random() < 0.5, is_negated)
        case 5:
            at = BEGIN + timedelta(hours=chance.randrange(DAYS * 24))
            times: list[Filter] = [
                Compares(FIELDS["timestamp"], relation, at, is_negated),
                TotalIs(Total.LAST_SEEN, relation, at, is_negated),
                TotalIs(Total.FIRST_SEEN, relation, at, is_negated),
            ]
            return chance.choice(times)
        case 6:
            return HasStatus(tuple(chance.sample(list(Status), k=chance.randrange(1, 3))), is_negated)
        case 7:
            return InGroups(tuple(chance.sample(GROUPS, k=chance.randrange(1, 6))), is_negated)
        case 8:
            values = tuple(random_value(chance, FIELDS["release"]) for _ in range(chance.randrange(1, 3)))
            trace = chance.choice(("", uuid.UUID(int=2).hex))
            return FirstRelease(values, is_negated) if chance.random() < 0.5 else Matches(FIELDS["trace"], (trace,), is_negated)
        case _:
            total = chance.choice((Total.TIMES_SEEN, Total.USER_COUNT))
            return TotalIs(total, relation, chance.randrange(30), is_negated)


def random_filters(chance: random.Random) -> tuple[Filter, ...]:
    return tuple(random_filter(chance) for _ in range(chance.choice((0, 0, 1, 1, 2, 3))))


def random_key(chance: random.Random) -> AnyKey:
    others: list[AnyKey] = [*GroupKey, TimeKey(3_600), TimeKey(86_400), TimeKey(chance.randrange(600, 100_000))]
    return chance.choice([*others, *FILTER_FIELDS, *TAG_FIELDS, FIELDS["issue.id"], FIELDS["trace"], FIELDS["error.handled"]])


def random_measures(chance: random.Random) -> tuple[Measure, ...]:
    unique: AnyField = chance.choice([*FILTER_FIELDS, *TAG_FIELDS, FIELDS["issue.id"], FIELDS["trace"], FIELDS["error.handled"]])
    measures = (COUNT, USERS, EARLIEST, LATEST, Measure("unique", MeasureKind.UNIQUE, unique))
    return tuple(chance.sample(measures, k=chance.randrange(1, 5)))


def check_table(chance: random.Random, queries: Queries, reference: Reference) -> None:
    keys: tuple[AnyKey, ...] = tuple(random_key(chance) for _ in range(chance.randrange(3)))
    if chance.random() < 0.3:
        keys = (GroupKey.PROJECT, GroupKey.GROUP)
    question = EventQuestion(
        random_extent(chance), keys, random_measures(chance), random_filters(chance), limit=40_000, has_lifetime=False
    )
    expected = reference.table(question.extent, keys, question.measures, question.filters)
    found = {
        tuple(row[f"key{number}"] for number in range(len(keys))): tuple(known(row[one.name]) for one in question.measures)
        for row in queries.table(question)
    }
    if not keys:  # times of no events at all are those of 1970
        times = [number for number, one in enumerate(question.measures) if one.kind in {MeasureKind.EARLIEST, MeasureKind.LATEST}]
        if any(expected[()][number] is None for number in times):
            return
    assert found == expected, question


def known(value: Any) -> Any:
    return utc(value) if isinstance(value, datetime) else value


def check_groups(chance: random.Random, queries: Queries, reference: Reference) -> None:
    extent, filters = random_extent(chance), random_filters(chance)
    order, limit, offset = chance.choice(("latest", "first_seen", "count", "users")), chance.randrange(1, 30), chance.randrange(3)
    keys = (GroupKey.PROJECT, GroupKey.GROUP)
    expected = reference.table(extent, keys, (COUNT, USERS, LATEST), filters)
    lifetime = reference.table(forever(extent.projects, TODAY), keys, (EARLIEST, COUNT, USERS, LATEST), ())
    found = queries.groups(extent, filters, order, limit, offset)
    assert [
        (one.count, one.users, one.last_seen, one.first_seen, one.lifetime_count, one.lifetime_users, one.lifetime_last_seen)
        for one in found
    ] == [(*expected[one.project_id, one.group_id], *lifetime[one.project_id, one.group_id]) for one in found], (extent, filters)
    position = {"latest": 2, "count": 0, "users": 1}
    ranks = [expected[name][position[order]] if order in position else lifetime[name][0] for name in expected]
    assert [
        {"latest": one.last_seen, "first_seen": one.first_seen, "count": one.count, "users": one.users}[order] for one in found
    ] == sorted(ranks, reverse=True)[offset : offset + limit]
    newest = {
        (event["project_id"], group): event for event, group in sorted(reference.events, key=lambda one: one[0]["timestamp"])
    }
    for one in found:
        assert one.latest is not None
        assert str(uuid.UUID(one.latest.event_id)) == newest[one.project_id, one.group_id]["event_id"]


def check_events(chance: random.Random, queries: Queries, reference: Reference) -> None:
    extent, filters = random_extent(chance), random_filters(chance)
    limit, offset, is_newest_first = chance.randrange(1, 60), chance.randrange(5), chance.random() < 0.6
    expected = sorted(reference.fitting(extent, filters), key=lambda one: one[0]["timestamp"], reverse=is_newest_first)
    found = queries.events(extent, filters, limit, offset, is_newest_first=is_newest_first)
    assert [(str(uuid.UUID(one.event_id)), one.group_id, one.timestamp, list(one.tags)) for one in found] == [
        (event["event_id"], group, event["timestamp"], list(zip(event["tag_keys"], event["tag_values"], strict=True)))
        for event, group in expected[offset : offset + limit]
    ], (extent, filters)


def check_neighbours(chance: random.Random, queries: Queries, reference: Reference) -> None:
    event, group = chance.choice(reference.events)
    same = sorted(
        one["timestamp"] for one, other in reference.events if other == group and one["project_id"] == event["project_id"]
    )
    at = same.index(event["timestamp"])
    found = queries.event((1, 2, 3), uuid.UUID(event["event_id"]).hex, TODAY)
    assert found is not None
    assert found.group_id == group
    older, newer = (queries.neighbour(found, TODAY, is_newer=is_newer) for is_newer in (False, True))
    assert (older and older.timestamp) == (same[at - 1] if at else None)
    assert (newer and newer.timestamp) == (same[at + 1] if at + 1 < len(same) else None)


def check_series(chance: random.Random, queries: Queries, reference: Reference) -> None:
    extent, filters, seconds = random_extent(chance), random_filters(chance), chance.choice((3_600, 86_400, 7_000))
    expected = reference.table(extent, (TimeKey(seconds),), (COUNT, USERS), filters)
    found = queries.series(extent, seconds, filters, has_users=True)
    assert [one.start for one in found] == bucket_starts(extent, seconds)
    assert {one.start: (one.count, one.users) for one in found if one.count} == {
        start: value for (start,), value in expected.items()
    }
    fields: list[AnyField] = [FIELDS["release"], FIELDS["environment"], FIELDS["issue.id"], Tag("browser.name")]
    chosen = chance.choice(fields)
    tops = queries.top_series(extent, seconds, chosen, filters, 3)
    totals = reference.table(extent, (chosen,), (COUNT,), filters)
    largest = sorted((one for (one,) in totals.values()), reverse=True)[:3]
    assert [sum(one.count for one in series) for series in tops.values()] == largest
    both = reference.table(extent, (chosen, TimeKey(seconds)), (COUNT,), filters)
    for value, series in tops.items():
        assert {one.start: one.count for one in series if one.count} == {
            start: count for (other, start), (count,) in both.items() if other == value
        }


def check_facets(chance: random.Random, queries: Queries, reference: Reference) -> None:
    extent, filters = random_extent(chance), random_filters(chance) if chance.random() < 0.5 else ()
    expected = reference.tags(extent, filters)
    found = queries.facets(FacetQuestion(extent, filters, values=3))
    assert {one.key: (one.count, one.distinct) for one in found} == {
        key: (sum(count for count, _, _ in values.values()), len(values)) for key, values in expected.items()
    }
    for facet in found:
        ranked = sorted(expected[facet.key].items(), key=lambda one: (-one[1][0], one[0]))
        assert [(one.value, (one.count, one.first_seen, one.last_seen)) for one in facet.top] == ranked[:3]
    key = chance.choice(list(TAGS))
    part = chance.choice(("", "", "fire", "O", "%", "_"))
    values = {value: found for value, found in expected.get(key, {}).items() if part.lower() in value.lower()}
    ranked = sorted(values.items(), key=lambda one: (-one[1][2].timestamp(), one[0]))
    tag = queries.tag(FacetQuestion(extent, filters, key, limit=5, containing=part, is_newest_first=True))
    assert [(one.value, (one.count, one.first_seen, one.last_seen)) for one in tag.top] == ranked[:5]
    assert (tag.count, tag.distinct) == (sum(one[0] for one in values.values()), len(values))


def check_releases(chance: random.Random, queries: Queries, reference: Reference) -> None:
    extent, filters = random_extent(chance), random_filters(chance)
    measures = (COUNT, Measure("groups", MeasureKind.UNIQUE, FIELDS["issue.id"]), EARLIEST, LATEST)
    expected = reference.table(extent, (GroupKey.PROJECT, FIELDS["release"]), measures, filters)
    found = queries.releases(extent, filters)
    assert {(one.project_id, one.version): (one.count, one.groups, one.first_seen, one.last_seen) for one in found} == {
        key: value for key, value in expected.items() if key[1]
    }


CHECKS = [check_table, check_groups, check_events, check_table, check_series, check_facets, check_table, check_groups]
CHECKS += [check_neighbours, check_releases]


@pytest.mark.parametrize("seed", range(QUESTIONS // AT_ONCE))
def test_random_questions(seed: int, world: tuple[Queries, Reference]) -> None:
    chance = random.Random(seed)
    for number in range(AT_ONCE):
        CHECKS[(seed + number) % len(CHECKS)](chance, *world)


def test_the_kinds_of_fields_are_all_asked_for() -> None:
    asked = {field.kind for field in FILTER_FIELDS if not isinstance(field, Tag)}
    assert asked | {FieldKind.ID, FieldKind.FLAG, FieldKind.FLAGS, FieldKind.TIME} == set(FieldKind) - {FieldKind.NUMBER}
