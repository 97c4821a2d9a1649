"""Duplicates: an event id is claimed in one project, whatever the project's number."""

from __future__ import annotations

import pytest
import redis
from support.redis_servers import RedisServer

from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.record import Token
from pipeline.model.scope import Scope
from pipeline.quotas.ledger import Claim, Polled
from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.client import connect

pytestmark = pytest.mark.redis

NOW = 4_102_444_800.0
PROJECTS = [1, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**64 - 2, 2**64 - 1]


def claim(offset: int, project: int) -> Claim:
    return Claim(Token("t", 0, offset), Scope(1, project), DataCategory.ERROR, 1, "c" * 32, NOW, ())


def test_projects_do_not_share_event_ids(server: RedisServer, client: redis.Redis) -> None:
    ledger = RedisLedger(connect(server.url, 5))
    end = len(PROJECTS)
    claims = [claim(offset, project) for offset, project in enumerate(PROJECTS)]
    decisions = ledger.admit([Polled("t", 0, 0, end)], claims, NOW)
    assert [decision.fate for decision in decisions] == [Fate.ACCEPTED] * end
    assert set(client.keys("dup:*")) == {b"dup:{1}" + project.to_bytes(8, "little") + b"\xcc" * 16 for project in PROJECTS}
    again = [claim(offset, project) for offset, project in enumerate(PROJECTS, end)]
    assert {decision.reason for decision in ledger.admit([Polled("t", 0, end, 2 * end)], again, NOW)} == {"duplicate"}
    ledger.close()
