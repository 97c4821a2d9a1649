"""`pipeline quotas` on a real Redis and a rules folder."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.redis_servers import RedisServer

from pipeline.cli.quotas import quotas
from pipeline.model.category import DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect
from pipeline.rules.folder import load_rules

pytestmark = pytest.mark.redis

QUOTAS = """
[[quota]]
id = "hour"
scope = "project"
categories = ["error"]
limit = 10
window_s = 3600
reason_code = "over"

[[quota]]
id = "org"
categories = ["error"]
window_s = 3600

[[quota]]
id = "smooth"
scope = "key"
categories = ["error"]
burst = 50
refill_per_s = 0.001
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "quotas.toml").write_text(QUOTAS)
    return tmp_path


def run(server: RedisServer, rules: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        quotas, [arguments[0], "--rules", str(rules), *arguments[1:]], env={"PIPELINE_REDIS_URL": server.url}
    )


def send(server: RedisServer, rules: Path, project: int, base: int, number: int) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    now = time.time()
    own = load_rules(rules).project(project).quotas
    claims = [
        Claim(Token("t", 0, at), Scope(1, project, 5), DataCategory.ERROR, 1, f"{at:032x}", now, own)
        for at in range(base, base + number)
    ]
    ledger.admit([Polled("t", 0, base, base + number)], claims, now)
    ledger.close()


def shown(server: RedisServer, rules: Path, *arguments: str) -> dict[tuple[str, str | None], dict[str, object]]:
    result = run(server, rules, "show", "--json", *arguments)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.output.splitlines()]
    return {(row["quota"], row["owner"]): row for row in rows}


def test_show(server: RedisServer, rules: Path) -> None:
    send(server, rules, 7, 0, 12)
    send(server, rules, 8, 12, 4)
    rows = shown(server, rules)
    assert {key: (row["used"], row["limit"], row["dropped_today"], row["is_nearly_full"]) for key, row in rows.items()} == {
        ("hour", "7"): (10, 10, 2, True),
        ("hour", "8"): (4, 10, 0, False),
        ("org", None): (14, None, 0, False),
        ("smooth", "5"): (14, 50, 0, False),
    }
    assert time.time() < float(str(rows["hour", "7"]["resets_at"])) <= time.time() + 3600
    assert set(shown(server, rules, "--project", "8")) == {("hour", "8"), ("org", None)}
    table = run(server, rules, "show").output
    assert "100%" in table
    assert "project 7" in table


def test_refund(server: RedisServer, rules: Path, caplog: pytest.LogCaptureFixture) -> None:
    send(server, rules, 7, 0, 12)
    with caplog.at_level("INFO"):
        result = run(server, rules, "refund", "--project", "7", "--quantity", "3", "--by", "ada", "--reason", "a broken release")
    assert result.exit_code == 0, result.output
    assert "refunded 3 of error" in caplog.text
    assert "by ada: a broken release" in caplog.text
    rows = shown(server, rules)
    assert rows["hour", "7"]["used"] == 7
    assert rows["org", None]["used"] == 7
    send(server, rules, 7, 12, 5)
    assert shown(server, rules)["hour", "7"]["used"] == 10


def test_a_limit_edited_in_the_file_holds_at_once(server: RedisServer, rules: Path) -> None:
    send(server, rules, 7, 0, 12)
    (rules / "default" / "quotas.toml").write_text(QUOTAS.replace("limit = 10", "limit = 20"))
    send(server, rules, 7, 12, 5)
    assert shown(server, rules)["hour", "7"]["used"] == 15


@pytest.mark.parametrize("category", ["transaction", "nonsense"])
def test_refund_to_nobody_is_said(category: str, server: RedisServer, rules: Path) -> None:
    result = run(server, rules, "refund", "--project", "7", "--category", category, "--by", "ada", "--reason", "x")
    assert result.exit_code == 2


def test_without_redis(rules: Path) -> None:
    environment = {"PIPELINE_REDIS_URL": "unix:///nowhere/at/all"}
    result = CliRunner().invoke(quotas, ["show", "--rules", str(rules)], env=environment)
    assert isinstance(result.exception, RetryableError)


FOREIGN = pytest.mark.parametrize("value", ["a text", ["a list"]], ids=str)


def put_instead(server: RedisServer, key: str, value: str | list[str]) -> None:
    with server.client() as client:
        client.delete(key)
        client.rpush(key, *value) if isinstance(value, list) else client.set(key, value)


def assert_names(result: Result, key: str) -> None:
    assert isinstance(result.exception, RetryableError), "which ends the command line with one line and exit code 1"
    assert key in str(result.exception)
    assert "\n" not in str(result.exception)


@FOREIGN
@pytest.mark.parametrize(
    ("before", "kind"), [("", "quota:hour"), ("r:", "quota:hour"), ("", "bucket:smooth"), ("", "dropped:hour")]
)
def test_show_names_a_key_that_holds_something_else(
    before: str, kind: str, value: str | list[str], server: RedisServer, rules: Path
) -> None:
    send(server, rules, 7, 0, 12)
    with server.client() as client:
        [counter] = client.keys(f"{kind}{{1}}*")
    put_instead(server, key := before + counter.decode(), value)
    assert_names(run(server, rules, "show"), key)


@FOREIGN
def test_refund_names_a_key_that_holds_something_else_and_gives_nothing_back(
    value: str | list[str], server: RedisServer, rules: Path
) -> None:
    send(server, rules, 7, 0, 12)
    with server.client() as client:
        [counter] = client.keys("quota:org{1}*")
        put_instead(server, key := "r:" + counter.decode(), value)
        assert_names(run(server, rules, "refund", "--project", "7", "--by", "ada", "--reason", "why"), key)
        assert client.keys("r:quota:*") == [key.encode()]


def test_refund_into_a_window_that_is_gone_is_said(server: RedisServer, rules: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = run(server, rules, "refund", "--project", "7", "--at", "2026-01-01T00:00:00Z", "--by", "ada", "--reason", "why")
    assert result.exit_code == 1
    assert "nothing was refunded to hour{1}7" in caplog.text
