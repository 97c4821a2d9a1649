"""Questions about tags and about outcomes as SQL."""

from __future__ import annotations

from pipeline.store.queries.question import FacetQuestion, OutcomeQuestion
from pipeline.store.queries.sql import EVENTS, HOUR_S, Overrides, Statement, StatementWriter
from pipeline.store.queries.sql_conditions import Parameters, like

DAY_S = 86_400


def uses_tag_days(question: FacetQuestion, overrides: Overrides) -> bool:
    """Whether the roll-up `tag_days` answers as exactly as the events do. It knows no groups, so merges do not matter to it."""
    is_whole = all(at.timestamp() % DAY_S == 0 for at in (question.extent.start, question.extent.end))
    return is_whole and not question.filters and not overrides.has_deletions and not overrides.has_events


def ask_facets(question: FacetQuestion, overrides: Overrides) -> Statement:
    """Return the statement for all tags. Columns: key, total, distinct, top.

    `top` has the commonest values, each as (-events, value, earliest, latest).
    """
    writer = StatementWriter(overrides)
    limit, values = writer.parameters.bind(question.limit, "UInt64"), max(1, min(question.values, 100))
    sql = (
        "SELECT key, sum(events) AS total, count() AS distinct, "
        f"groupArraySorted({values:d})((-toInt64(events), value, earliest, latest)) AS top "
        f"FROM ({_counted(question, overrides, writer)}) GROUP BY key ORDER BY total DESC, key LIMIT {limit}"
    )
    return Statement(sql, writer.parameters.values)


def ask_tag_values(question: FacetQuestion, overrides: Overrides) -> Statement:
    """Return the statement for the values of one tag. Columns: value, events, earliest, latest, total, distinct."""
    writer = StatementWriter(overrides)
    order = "latest DESC, value" if question.is_newest_first else "events DESC, value"
    limit, offset = (writer.parameters.bind(number, "UInt64") for number in (question.limit, question.offset))
    sql = (
        "SELECT value, events, earliest, latest, sum(events) OVER () AS total, count() OVER () AS distinct "
        f"FROM ({_counted(question, overrides, writer)}) ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    )
    return Statement(sql, writer.parameters.values)


def _counted(question: FacetQuestion, overrides: Overrides, writer: StatementWriter) -> str:
    """Return the statement for key, value, events, earliest and latest of each value. An empty value is none."""
    parameters, extent = writer.parameters, question.extent
    where = ["value != ''"]
    if question.key is not None:
        where.append(f"key = {parameters.bind(question.key, 'String')}")
    if question.containing:
        where.append(f"value ILIKE {parameters.bind(like(('', question.containing, '')), 'String')}")
    if uses_tag_days(question, overrides):
        start, end = (parameters.bind(at.strftime("%Y-%m-%d"), "Date") for at in (extent.start, extent.end))
        where += [writer.projects(extent), f"day >= {start}", f"day < {end}"]
        return (
            "SELECT toString(key) AS key, value, sum(count) AS events, min(first_seen) AS earliest, max(last_seen) AS latest "
            f"FROM tag_days WHERE {' AND '.join(where)} GROUP BY key, value"
        )
    columns = ["timestamp", "tag_keys", "tag_values"]
    placed = writer.placed(EVENTS, extent, question.filters, columns)
    return (
        "SELECT toString(key) AS key, toString(value) AS value, count() AS events, min(timestamp) AS earliest, "
        f"max(timestamp) AS latest FROM (SELECT timestamp, tag_keys, tag_values FROM ({placed})) "
        f"ARRAY JOIN tag_keys AS key, tag_values AS value WHERE {' AND '.join(where)} GROUP BY key, value"
    )


def uses_outcome_hours(question: OutcomeQuestion) -> bool:
    """Whether the roll-up answers a question about outcomes."""
    is_whole = all(at.timestamp() % HOUR_S == 0 for at in (question.start, question.end))
    return is_whole and (question.seconds is None or question.seconds % HOUR_S == 0)


def ask_outcomes(question: OutcomeQuestion) -> Statement:
    """Return the statement for outcomes. Columns: bucket if `seconds` is set, the keys by name, quantity, number."""
    parameters = Parameters()
    is_rollup = uses_outcome_hours(question)
    table, time, number = ("outcome_hours", "hour", "sum(count)") if is_rollup else ("outcomes", "timestamp", "count()")
    start, end = (parameters.bind(int(at.timestamp()), "DateTime('UTC')") for at in (question.start, question.end))
    where = [f"org_id = {parameters.bind(question.organization, 'UInt64')}", f"{time} >= {start}", f"{time} < {end}"]
    for column, values, kind in (
        ("project_id", question.projects, "UInt64"),
        ("category", question.categories, "UInt8"),
        ("outcome", question.outcomes, "UInt8"),
        ("reason", question.reasons, "String"),
        ("key_id", question.key_ids, "UInt64"),
    ):
        if values:
            where.append(parameters.one_of(column, values, kind))
    keys = [key.value for key in question.keys]
    columns = [f"toString({key}) AS {key}" if key == "reason" else key for key in keys]
    if question.seconds is not None:
        keys.insert(0, "bucket")
        columns.insert(0, f"intDiv(toUnixTimestamp({time}), {question.seconds:d}) * {question.seconds:d} AS bucket")
    columns += ["sum(quantity) AS quantity", f"{number} AS number"]
    sql = f"SELECT {', '.join(columns)} FROM {table} WHERE {' AND '.join(where)}"
    if keys:
        sql += f" GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}"
    return Statement(sql, parameters.values)
