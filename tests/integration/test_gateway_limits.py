"""Quotas that workers have used up are told at the gateway's door. The broker is away: a limit is Redis's word."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.gateway_process import KEY, GatewayProcess
from support.installation import until
from support.redis_servers import RedisServer

from pipeline.model.category import ERROR_CATEGORIES, DataCategory
from pipeline.model.errors import RetryableError
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled
from pipeline.quotas.model import Quota, QuotaScope
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.quotas.used_up import find_used_up
from pipeline.redis.client import connect
from pipeline.settings.schema import KafkaSettings, Settings

pytestmark = pytest.mark.redis

SENDER = Scope(1, 42, 5)
DAILY = Quota("daily", QuotaScope.PROJECT, None, ERROR_CATEGORIES, 3, 86_400, "too_many")


def charge(ledger: RedisLedger, first: int, number: int, quotas: tuple[Quota, ...] = (DAILY,)) -> None:
    """Let a worker admit so many events."""
    polled = (Polled("t", 0, first, first + number),)
    claims = [
        Claim(Token("t", 0, first + at), SENDER, DataCategory.ERROR, 1, f"{first + at:032x}", time.time(), quotas)
        for at in range(number)
    ]
    ledger.admit(polled, claims, time.time())


def test_what_the_ledger_has_used_up_is_found() -> None:
    group = Quota("group", QuotaScope.GROUP, None, ERROR_CATEGORIES, 1, 86_400)
    counted = Quota("counted", QuotaScope.PROJECT, None, ERROR_CATEGORIES, None, 86_400)
    other = Quota("other", QuotaScope.KEY, "6", ERROR_CATEGORIES, 1, 86_400)
    quotas = (DAILY, group, counted, other)
    with RedisServer() as server:
        client = connect(server.url, 5)
        ledger = RedisLedger(client, duplicates=False)
        charge(ledger, 0, 2, quotas)
        assert find_used_up(client, [(SENDER, quotas)], time.time()) == {}
        charge(ledger, 2, 1, quotas)
        [used] = find_used_up(client, [(SENDER, quotas), (Scope(1, 43), quotas), (Scope(2, 1), quotas)], time.time())[SENDER]
        assert used.quota == DAILY
        assert 0 < used.ends - time.time() <= 86_400
        assert find_used_up(client, [(SENDER, quotas)], used.ends + 1) == {}
        ledger.close()
    with pytest.raises(RetryableError):
        find_used_up(client, [(SENDER, quotas)], time.time())


def test_senders_are_told_within_two_seconds(tmp_path: Path) -> None:
    with RedisServer() as server:
        more = ("[redis]", f'url = "{server.url}"')
        gateway = GatewayProcess(tmp_path, Settings(kafka=KafkaSettings(brokers="127.0.0.1:1")), *more)
        (gateway.rules / "default" / "quotas.toml").write_text(
            '[[quota]]\nid = "daily"\nscope = "project"\ncategories = ["default", "error", "security"]\n'
            'limit = 3\nwindow_s = 86400\nreason_code = "too_many"\n'
        )
        gateway.start()
        try:
            event = ({"type": "event"}, b"{}")
            assert gateway.envelope(event)[0] == 200
            ledger = RedisLedger(connect(server.url, 5), duplicates=False)
            charge(ledger, 0, 3)
            ledger.close()
            began = time.monotonic()
            until(lambda: gateway.envelope(event)[0] == 429, within_s=10)
            assert time.monotonic() - began < 2.5
            status, headers, body = gateway.envelope(event)
            assert status == 429
            limits = headers["x-sentry-rate-limits"].split(":")
            assert limits[1:] == ["default;error;security", "project", "too_many"]
            assert 0 < int(limits[0]) <= 86_400
            assert headers["retry-after"] == limits[0]
            assert "detail" in json.loads(body)
            assert gateway.envelope(({"type": "client_report"}, b"{}"))[0] == 200
            status, headers, _ = gateway.envelope(event, ({"type": "session"}, b"{}"))
            assert (status, "x-sentry-rate-limits" in headers, "retry-after" in headers) == (200, True, False)
            assert gateway.send(f"/api/42/cron/nightly/?sentry_key={KEY}", b"")[0] == 202
        finally:
            gateway.close()


def test_a_key_that_floods_is_told_to_wait(tmp_path: Path) -> None:
    away = Settings(kafka=KafkaSettings(brokers="127.0.0.1:1"))
    gateway = GatewayProcess(tmp_path, away, "max_requests_per_s_by_key = 5.0")
    gateway.start()
    try:
        answers = [gateway.send(f"/api/42/store/?sentry_key={KEY}", b"{}") for _ in range(40)]
        assert {status for status, _, _ in answers} == {200, 429}
        limited = next(headers for status, headers, _ in answers if status == 429)
        assert limited["x-sentry-rate-limits"] == "1::key:too_many_requests"
        assert limited["retry-after"] == "1"
    finally:
        gateway.close()
