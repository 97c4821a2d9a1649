"""The read API: its queries, its directory of projects, and sentry-cli's uploads beside it."""

from __future__ import annotations

import time

import msgspec

from pipeline.api.call import ExplainContext, Service
from pipeline.api.directory import Directory
from pipeline.api.process import ApiService
from pipeline.api.routes import Api
from pipeline.clickhouse.client import Client
from pipeline.observability.prometheus_api import ApiMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.rules.snapshot import Rules
from pipeline.settings.schema import ArtifactSettings, Settings
from pipeline.stages.contract import Context
from pipeline.store.queries.queries import Queries
from pipeline.uploads.api import UploadApi
from pipeline.wiring.artifacts import open_blobs, open_store
from pipeline.wiring.contexts import explain_context


def make_api(settings: Settings, client: Client, rules: RulesFolder, metrics: ApiMetrics) -> ApiService:
    """Return the service of `pipeline api`, which does not listen yet."""
    return ApiService(settings, read_api(settings, client, rules, settings.api.public_url), client, rules, metrics)


def read_api(settings: Settings, client: Client, rules: RulesFolder, public_url: str | None) -> Api:
    """Return everything under /api/0/. `public_url` is where people reach it; None for the address that they ask."""
    queries = Queries(client)
    service = Service(
        queries,
        Directory(lambda: rules.current, queries, time.monotonic),
        lambda: rules.current,
        time.time,
        _explain_context(settings),
        rules.path,
        rules.load_other,
        public_url,
    )
    return Api(service, upload_api(settings, rules, public_url))


def upload_api(settings: Settings, rules: RulesFolder, public_url: str | None) -> UploadApi | None:
    """Return the endpoints of sentry-cli's uploads; None without an artifact store."""
    if not settings.artifacts.url:
        return None
    return UploadApi(
        open_store(settings.artifacts),
        open_blobs(settings.artifacts),
        lambda: rules.current,
        time.time,
        max_file_bytes=settings.artifacts.max_file_bytes,
        public_url=public_url,
    )


def _explain_context(settings: Settings) -> ExplainContext:
    """Return what makes a context for stored events. They were symbolicated, so no artifact store takes part."""
    without_artifacts = msgspec.structs.replace(settings, artifacts=ArtifactSettings())

    def context(rules: Rules) -> Context:
        return explain_context(without_artifacts, rules, now=time.time())

    return context
