"""Examines an installation: rules, topics, Redis, source maps, disks and services, one part after the other.

Each part is examined even if others fail. Nothing is changed.
"""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from pipeline.model.errors import BrokerError, InvalidRulesError, RetryableError, SettingsError
from pipeline.settings.schema import Settings

MAX_CLOCK_OFFSET_S = 5.0
"""Largest difference of clocks that is accepted. Windows of quotas follow the clock, so clocks must agree."""
LEAST_FREE_BYTES = 1_000_000_000
FEW_FREE_BYTES = 10_000_000_000
READY_WITHIN_S = 3.0
MAX_READY_BYTES = 1_000


class Health(StrEnum):
    """The state of a part."""

    OK = "ok"
    REMARK = "remark"
    """Worth knowing, but not wrong."""
    WRONG = "wrong"


class Finding(NamedTuple):
    """A finding about a part, in a sentence, and what to do about it ("" if nothing)."""

    part: str
    state: Health
    text: str
    advice: str = ""


def examine(settings: Settings, rules: Path, parts: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Yield what is found about each part, or about those that are named."""
    for part, look in PARTS.items():
        if parts and part not in parts:
            continue
        try:
            for state, text, advice in look(settings, rules):
                yield Finding(part, state, text, advice)
        except (BrokerError, RetryableError, SettingsError, OSError) as error:
            yield Finding(part, Health.WRONG, str(error), _ADVICE.get(part, ""))


Found = Iterator[tuple[Health, str, str]]


def _rules(settings: Settings, rules: Path) -> Found:
    from pipeline.rule_tools.suspicious_rules import suspicions, unkept_retentions  # noqa: PLC0415 -- only what is examined
    from pipeline.rules.folder import load_rules  # noqa: PLC0415 -- likewise

    try:
        loaded = load_rules(rules)
    except InvalidRulesError as error:
        for mistake in error.errors:
            yield Health.WRONG, str(mistake), "correct the file; workers go on with the rules that they have"
        return
    groupers = [loaded.default.grouper, *(own.grouper for own in loaded.projects.values())]
    every = {(rule.file, rule.line): rule for grouper in groupers for rule in grouper.rules}
    for warning in [*suspicions(every.values()), *unkept_retentions(loaded, rules)]:
        yield Health.REMARK, str(warning), f"pipeline rules check {rules}"
    yield Health.OK, f"{rules}: {len(every):,} rules, {len(loaded.projects):,} projects of their own", ""
    without_keys = not any(own.project.keys for own in loaded.projects.values())
    if without_keys and settings.input.unknown_projects == "accept":
        advice = 'list keys in project.toml, and set input.unknown_projects = "reject"'
        yield Health.REMARK, "no project names a key, and unknown projects are accepted: anybody may send", advice


def _topics(settings: Settings, _: Path) -> Found:
    from pipeline.kafka.errors import broker_errors  # noqa: PLC0415 -- only what is examined
    from pipeline.kafka.topics import check_topics  # noqa: PLC0415 -- likewise

    with broker_errors("examine topics"):
        complaints = list(check_topics(settings))
    for complaint in complaints:
        yield (
            Health.WRONG,
            complaint,
            "pipeline topics create makes what is missing; existing topics are changed with Kafka's tools",
        )
    if not complaints:
        yield Health.OK, f"{settings.kafka.brokers} answers, and all topics fit", ""


def _redis(settings: Settings, _: Path) -> Found:
    from pipeline.redis.durability import read_durability  # noqa: PLC0415 -- only what is examined
    from pipeline.wiring.redis import connect_redis  # noqa: PLC0415 -- likewise

    before = time.time()
    servers = read_durability(connect_redis(settings))
    now = (before + time.time()) / 2
    problems = [problem for server in servers for problem in server.problems()]
    for problem in problems:
        yield Health.WRONG, problem, "docs/operations.md, Redis"
    for server in servers:
        for remark in server.remarks():
            yield Health.REMARK, remark, ""
        if server.clock and abs(server.clock - now) > MAX_CLOCK_OFFSET_S:
            text = f"the clock of Redis {server.node} differs from this machine's by {server.clock - now:+.0f} s"
            yield Health.WRONG, text, "synchronize both clocks (NTP): quotas are counted in windows of time"
    if not problems:
        yield Health.OK, "nothing is evicted, and every write is on disk before it is acknowledged", ""


def _source_maps(settings: Settings, _: Path) -> Found:
    if not settings.artifacts.url:
        yield (
            Health.REMARK,
            "artifacts.url is not set: JavaScript frames stay minified",
            "set PIPELINE_ARTIFACTS to use source maps",
        )
        return
    from pipeline.sourcemaps.stores.contract import StoreUnavailableError  # noqa: PLC0415 -- only what is examined
    from pipeline.sourcemaps.stores.folder_store import FolderStore  # noqa: PLC0415 -- likewise
    from pipeline.wiring.artifacts import open_store  # noqa: PLC0415 -- likewise

    store = open_store(settings.artifacts)
    if isinstance(store, FolderStore) and not store.folder.is_dir():
        yield Health.WRONG, f"{store.folder}: no such folder", "create it, or correct PIPELINE_ARTIFACTS"
        return
    try:
        projects = list(store.projects())
    except StoreUnavailableError as error:
        yield Health.WRONG, f"{settings.artifacts.url}: {error}", "check the URL, the credentials and the network"
        return
    yield Health.OK, f"{settings.artifacts.url}: bundles of {len(projects):,} projects", ""


def _disk(settings: Settings, _: Path) -> Found:
    folders = {"gateway.spool": Path(settings.gateway.spool)}
    if settings.artifacts.url and "://" in settings.artifacts.url:
        folders["artifacts.cache_dir"] = Path(settings.artifacts.cache_dir).expanduser()
    for name, folder in folders.items():
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
        if not os.access(existing, os.W_OK | os.X_OK):
            yield (
                Health.WRONG,
                f"{name}: {existing} cannot be written",
                "give the service's user the right, or name another folder",
            )
            continue
        usage = shutil.disk_usage(existing)
        text = f"{name}: {folder} has {usage.free / 1e9:,.1f} GB free of {usage.total / 1e9:,.1f} GB"
        if usage.free < LEAST_FREE_BYTES:
            yield Health.WRONG, text, "a gateway whose disk is full answers 503; make room"
        elif usage.free < FEW_FREE_BYTES:
            yield Health.REMARK, text, "this may not last for an hour without the broker"
        else:
            yield Health.OK, text, ""


def _services(settings: Settings, _: Path) -> Found:
    host = "127.0.0.1" if settings.web.host in {"0.0.0.0", "::"} else settings.web.host  # noqa: S104 -- compared, not bound
    if settings.web.host not in _LOOPBACK:
        yield Health.REMARK, f"web views listen on {settings.web.host} without a password", "keep their ports from the public"
    for service, port in _WEB_PORTS.items():
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/ready"
        try:
            with urllib.request.urlopen(url, timeout=READY_WITHIN_S) as answer:
                status, text = answer.status, answer.read(MAX_READY_BYTES).decode(errors="replace")
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read(MAX_READY_BYTES).decode(errors="replace")
        except OSError:
            yield Health.REMARK, f"no {service} listens on {host}:{port}", ""
            continue
        if status == HTTPStatus.OK:
            yield Health.OK, f"the {service} on {host}:{port} is ready", ""
        else:
            yield (
                Health.WRONG,
                f"the {service} on {host}:{port} is not ready: {' '.join(text.split())}",
                "docs/operations.md, Probes",
            )


_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_WEB_PORTS = {"worker": 6066, "gateway": 6067}
"""The default port of the web views of each service."""

PARTS: Mapping[str, Callable[[Settings, Path], Found]] = {
    "rules": _rules,
    "topics": _topics,
    "redis": _redis,
    "source-maps": _source_maps,
    "disk": _disk,
    "services": _services,
}
"""The parts in the order in which they are examined."""
_ADVICE = {
    "topics": "start Kafka, or correct PIPELINE_KAFKA_BROKERS",
    "redis": "start Redis, or correct PIPELINE_REDIS_URL",
    "source-maps": "correct PIPELINE_ARTIFACTS",
}
"""What to do if a part does not answer."""
