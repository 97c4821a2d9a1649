"""Handles a request: route and sender, body, inspection, rate limits, spool, answer. A 200 is sent after the record is synced.

The server is granian (RSGI), in this process and on this event loop. `accepting.py` decides about requests.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterable, AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipeline.api.door import ApiDoor
from pipeline.api.routes import Api
from pipeline.gateway.abuse import RequestLimit
from pipeline.gateway.accepting import OTLP, Inspected, Sender, admit, inspect, report_origin
from pipeline.gateway.answers import CORS, PREFLIGHT, RefusedItemError, accepted, accepted_hyphenated, accepted_otlp, pixel
from pipeline.gateway.limits import (
    ABUSE_REASON,
    UNLIMITED,
    SenderLimits,
    headers_of,
    limited_counts,
    slow_down,
    too_many_requests,
)
from pipeline.gateway.origins import Network, sender_address
from pipeline.gateway.otlp.requests import JSON_TYPE
from pipeline.gateway.refusals import RefusalCounts
from pipeline.gateway.routes import Endpoint, is_for_sdks
from pipeline.gateway.security_reports import ReportOrigin
from pipeline.gateway.sizes import MAX_BODY_BYTES
from pipeline.gateway.spooled import Arrival, encode_head
from pipeline.http.answers import Answer, RefusedRequestError
from pipeline.http.bodies import Bodies, Body, BodyLimits
from pipeline.http.exchange import Exchange, Request, content_length, peer_address, read_request
from pipeline.http.server import keep_alive
from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.model.scope import Scope
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.settings.schema import GatewaySettings
from pipeline.spool.errors import SpoolError
from pipeline.spool.segment import MAX_INLINE_BODY_BYTES
from pipeline.spool.spool import Spool
from pipeline.spool.writer import StagedBody

log = logging.getLogger(__name__)

INSPECTED_AT_ONCE_BYTES = 65_536
"""A larger body is inspected in a thread, so that other requests do not wait."""
UNPACKED_AT_ONCE_BYTES = 524_288
"""A body that unpacks to more is inspected again in a thread."""
_CHANCE = random.Random()  # noqa: S311 -- names, not secrets; it is seeded by the system
INSPECTING_THREADS = 2
"""How many large bodies are inspected at a time. Each takes at most 14 MB, however much it unpacks to."""


class Door:
    """The RSGI application. `__rsgi__` is called for every request, on the event loop's thread."""

    def __init__(
        self,
        settings: GatewaySettings,
        spool: Spool,
        rules: RulesFolder,
        limits: SenderLimits,
        metrics: GatewayMetrics,
        *,
        is_unknown_refused: bool,
        trusted: tuple[Network, ...],
        api: Api,
        tokens: tuple[str, ...] = (),
    ) -> None:
        self._spool = spool
        self._rules = rules
        self._limits = limits
        self._metrics = metrics
        self._is_unknown_refused = is_unknown_refused
        self._keep_alive = keep_alive(settings.header_timeout_s)
        self._trusted = trusted
        self._threads = ThreadPoolExecutor(INSPECTING_THREADS, thread_name_prefix="inspect")
        self._by_key = RequestLimit(settings.max_requests_per_s_by_key)
        self._by_address = RequestLimit(settings.max_requests_per_s_by_address)
        limits_of_bodies = BodyLimits(
            settings.body_timeout_s, settings.min_body_bytes_per_s, settings.memory_bytes, MAX_INLINE_BODY_BYTES
        )
        self.bodies = Bodies(spool.stage, limits_of_bodies)
        self._api = ApiDoor(api, tokens, self.bodies)
        self.refusals = RefusalCounts()
        self._round: Future[None] | None = None
        self._round_waiter: asyncio.Future[None]

    async def __rsgi__(self, scope: Any, protocol: Exchange) -> None:
        """Answer one request."""
        if scope.proto != "http":
            return
        request = read_request(scope)
        started = time.perf_counter()
        try:
            answer = await self._answer(scope, request, protocol)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a request could not be answered")
            answer = Answer(500, b'{"detail":"internal error"}')
        headers = list(answer.headers)
        if is_for_sdks(request.path) and not any(name == "access-control-allow-origin" for name, _ in headers):
            headers += CORS
        headers.append(self._keep_alive)
        self._metrics.answered(answer.status, time.perf_counter() - started)
        protocol.response_bytes(answer.status, headers, answer.body)

    async def _answer(self, scope: Any, request: Request, protocol: Exchange) -> Answer:
        if request.path.startswith("/api/0/"):
            return await self._api.answer(request, protocol, peer_address(scope))
        if request.method == "OPTIONS" and is_for_sdks(request.path):
            return Answer(200, b"", PREFLIGHT)
        sender: Sender | None = None
        try:
            sender = admit(request, self._rules.current, is_unknown_refused=self._is_unknown_refused)
            address = sender_address(scope.client, request.headers, self._trusted)
            wait_s = self._by_address.wait_s(address) or self._by_key.wait_s(sender.public_key)
            if wait_s and sender.route.endpoint not in UNLIMITED:
                self._metrics.refused(ABUSE_REASON)
                self.refusals.add(sender.project_id, sender.public_key, Fate.ABUSE, ABUSE_REASON, DataCategory.ERROR, 1)
                return slow_down(wait_s)
            return await self._accept(request, sender, protocol, address)
        except RefusedRequestError as refused:
            self._note(refused, request, sender)
            return refused.answer()
        except SpoolError as error:
            self._metrics.refused("spool")
            return RefusedRequestError(503, "events cannot be stored at the moment", str(error)).answer()

    async def _accept(self, request: Request, sender: Sender, protocol: Exchange, address: str | None) -> Answer:
        """Read the body, make it durable, and return the answer."""
        pieces = _body_of(request, protocol)
        is_sent = pieces is protocol
        declared = content_length(request.headers) if is_sent else None
        whole = protocol if is_sent else None
        body = await self.bodies.receive(pieces, declared, MAX_BODY_BYTES, whole=whole, has_trailers="trailer" in request.headers)
        try:
            found = await self._inspect(sender, body)
            rules = self._rules.current
            project = rules.project(sender.project_id).project
            scope = Scope(project.organization, sender.project_id, project.key_id(found.public_key))
            limits = self._limits.current(scope)
            limited = None if found.endpoint in UNLIMITED else limited_counts(found.counts, limits)
            if limited is not None:
                for (category, quantity), limit in limited:
                    self.refusals.add(
                        sender.project_id, found.public_key, Fate.RATE_LIMITED, limit.reason_code, category, quantity
                    )
                self._metrics.refused("rate_limited")
                return too_many_requests(limits)
            origin = report_origin(request) if found.endpoint is Endpoint.SECURITY else ReportOrigin()
            head = Arrival(
                found.endpoint,
                sender.project_id,
                found.public_key,
                time.time(),
                found.event_id,
                sender.encodings,
                address,
                int(found.counts[0][0]) if found.counts else 0,
                origin.user_agent,
                origin.release,
                origin.environment,
                sender.content_type if found.endpoint in OTLP else "",
            )
            await self._durable(self._spool.append(encode_head(head), body.data))
        finally:
            body.discard()
        self._metrics.accepted(found.endpoint)
        answer = _accepted(request, found)
        return answer._replace(headers=(*answer.headers, *headers_of(limits)))

    async def _inspect(self, sender: Sender, body: Body[StagedBody]) -> Inspected:
        """Inspect a body, in a thread if that may take long."""
        rules, refuse = self._rules.current, self._is_unknown_refused
        if isinstance(body.data, bytes) and len(body.data) <= INSPECTED_AT_ONCE_BYTES:
            try:
                pieces = (body.data,)
                return inspect(sender, pieces, rules, _new_id, is_unknown_refused=refuse, max_bytes=UNPACKED_AT_ONCE_BYTES)
            except RefusedRequestError as refused:
                if refused.status != 413:
                    raise
        work = lambda: inspect(sender, body.pieces(), rules, _new_id, is_unknown_refused=refuse)  # noqa: E731 -- for the thread
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _durable(self, written: Future[None]) -> None:
        """Wait until a round of the spool is durable. All requests of a round share the future. Raises SpoolError."""
        if written is not self._round:
            self._round, self._round_waiter = written, asyncio.wrap_future(written)
        await asyncio.shield(self._round_waiter)

    def _note(self, refused: RefusedRequestError, request: Request, sender: Sender | None) -> None:
        """Count a refusal, and its outcome if it belongs to a project."""
        self._metrics.refused(refused.reason or str(refused.status))
        if refused.reason is None:
            return
        project_id = sender.project_id if sender is not None else _project_in(request.path)
        if project_id is not None:
            key = sender.public_key if sender is not None else None
            counted = (refused.category, refused.quantity) if isinstance(refused, RefusedItemError) else (DataCategory.ERROR, 1)
            self.refusals.add(project_id, key, Fate.INVALID, refused.reason, *counted)


def _new_id() -> str:
    """Return a new event id. It need not be hard to guess, so a fast generator is used instead of the system's."""
    return f"{_CHANCE.getrandbits(128):032x}"


def _project_in(path: str) -> int | None:
    project = path.split("/")[2:3]
    return int(project[0]) if project and project[0].isascii() and project[0].isdecimal() and len(project[0]) < 19 else None


def _body_of(request: Request, protocol: Exchange) -> AsyncIterable[bytes]:
    """Return the body's pieces. A GET on the store endpoint has the body in its query."""
    if request.method != "GET" or "sentry_data" not in request.query:
        return protocol
    from urllib.parse import parse_qs  # noqa: PLC0415 -- nobody does this any more

    return _one(parse_qs(request.query).get("sentry_data", [""])[0].replace(" ", "+").encode())


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _accepted(request: Request, found: Inspected) -> Answer:
    """Return the answer to an accepted request, in the form of its endpoint."""
    match found.endpoint:
        case Endpoint.ENVELOPE | Endpoint.STORE:
            return pixel() if request.method == "GET" else accepted(found.event_id)
        case Endpoint.MINIDUMP | Endpoint.UNREAL:
            return accepted_hyphenated(found.event_id or _new_id())
        case Endpoint.CRON:
            return Answer(202)
        case Endpoint.ATTACHMENTS:
            return Answer(201)
        case Endpoint.OTLP_TRACES | Endpoint.OTLP_LOGS:
            return accepted_otlp(is_json=request.headers["content-type"].lower().startswith(JSON_TYPE))
        case _:
            return Answer(200)
