"""Every query of the store's dashboard runs on the real tables, with Grafana's macros replaced as its ClickHouse plugin does."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.clickhouse import fresh_token

from pipeline.clickhouse.client import Client

DASHBOARD = json.loads((Path(__file__).parents[2] / "deploy/grafana/event-store.json").read_text())
QUERIES = {panel["title"]: panel["targets"][0]["rawSql"] for panel in DASHBOARD["panels"]}
NOW = datetime.now(UTC).replace(microsecond=0)


def as_plugin(sql: str) -> str:
    """Return a query with the plugin's macros and the project's variable replaced."""
    start, end = int(NOW.timestamp()) - 86_400, int(NOW.timestamp()) + 3_600
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 >= toDateTime({start}) AND \1 <= toDateTime({end})", sql)
    sql = re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql)
    sql = sql.replace("$__fromTime", f"toDateTime({start})").replace("$__toTime", f"toDateTime({end})")
    return sql.replace("${project:csv}", "7,8")


def fill(client: Client) -> None:
    at = NOW.strftime("%Y-%m-%d %H:%M:%S.000")
    rows: list[dict[str, Any]] = [
        {
            "project_id": 7,
            "group_id": 1 + number % 2,
            "timestamp": at,
            "received": at,
            "event_id": str(uuid.UUID(int=number + 1)),
            "retention_days": 90,
            "user": f"id:{number}",
            "title": "KeyError: no",
            "tag_keys": ["browser"],
            "tag_values": ["Firefox"],
        }
        for number in range(3)
    ]
    client.insert("events", b"\n".join(map(orjson.dumps, rows)), fresh_token())
    outcomes = [
        {"org_id": 1, "project_id": 7, "timestamp": at[:19], "outcome": outcome, "reason": reason, "category": 1, "quantity": 5}
        for outcome, reason in ((0, ""), (1, "web-crawlers"))
    ]
    client.insert("outcomes", b"\n".join(map(orjson.dumps, outcomes)), fresh_token())


@pytest.mark.parametrize("title", QUERIES)
def test_every_panel_shows_something(title: str, chdb: Client) -> None:
    fill(chdb)
    sql = as_plugin(QUERIES[title])
    assert "$" not in sql
    if "system.query_log" in sql:  # a server keeps the log by itself, chdb does not
        if not chdb.query("EXISTS TABLE system.query_log").rows[0][0]:
            pytest.skip("this engine keeps no log of queries")
        assert len(chdb.query(sql).names) == 5
        return
    assert chdb.query(sql).rows


def test_what_the_panels_show_is_right(chdb: Client) -> None:
    fill(chdb)
    [row, *_] = chdb.query(as_plugin(QUERIES["Top groups"])).dicts()
    assert (row["group"], row["events"], row["users"], row["title"]) == ("1", 2, 2, "KeyError: no")
    assert {row["what"]: row["quantity"] for row in chdb.query(as_plugin(QUERIES["Outcomes"])).dicts()} == {
        "accepted": 5,
        "filtered": 5,
    }
    assert chdb.query(DASHBOARD["templating"]["list"][1]["query"]).rows == [(7,)]


def test_the_variables_are_those_of_the_data_source() -> None:
    assert {panel["datasource"]["type"] for panel in DASHBOARD["panels"]} == {"grafana-clickhouse-datasource"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
