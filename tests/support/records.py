"""Records and contexts as tests need them: everything has a default, a test names what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgpack
import orjson

from pipeline.kafka.batch import KafkaBatch
from pipeline.kafka.batch import make_record as make_kafka_record
from pipeline.model.record import Form, Record, Token
from pipeline.quotas.ledger import UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.rules.project import Project
from pipeline.rules.snapshot import ProjectRules, Rules
from pipeline.stages.contract import Context, StageLimits

REPOSITORY = Path(__file__).parents[2]
RECEIVED = 1_700_000_000.0
"""When records without an arrival of their own arrive, in epoch seconds."""
PROJECT_ID = 7


def make_record(
    body: bytes, form: Form = Form.JSON, *, position: int = 1, project_id: int | None = PROJECT_ID, **fields: Any
) -> Record:
    """Return a record that arrives at RECEIVED for PROJECT_ID."""
    return Record(body, form, "test", position, RECEIVED, Token("test", 0, position - 1), project_id, **fields)


def project_context(projects: Mapping[int, Project] | None = None, *, default: Project | None = None, **limits: Any) -> Context:
    """Return a context for stages that ask the rules for nothing but the project."""
    rules = Rules("test", _only(default or Project()), {number: _only(project) for number, project in (projects or {}).items()})
    return Context(now=RECEIVED, rules=rules, ledger=UncountedLedger(), limits=StageLimits(**limits))


def whole_context(rules: Path = REPOSITORY / "rules") -> Context:
    """Return a context for all stages, with the rules of the repository, that counts nothing."""
    return Context(now=RECEIVED, rules=load_rules(rules), ledger=UncountedLedger())


def kafka_batch(first: int, end: int, log: str = "t") -> KafkaBatch:
    """Return a batch of good events of project 1 at these offsets of partition 0."""
    records = []
    for offset in range(first, end):
        payload = orjson.dumps({"event_id": f"{offset + 1:032x}", "message": "m", "platform": "other"})
        body = {"type": "event", "event_id": f"{offset + 1:032x}", "project_id": 1, "start_time": 1, "payload": payload}
        records.append(make_kafka_record(msgpack.packb(body), Form.MSGPACK, "in", Token(log, 0, offset), 1e9, {}))
    return KafkaBatch(records, {}, {0: first}, {0: end}, "in", {0: log}, None)


def _only(project: Project) -> ProjectRules:
    nothing: Any = None
    return ProjectRules(project, nothing, (), nothing, nothing)
