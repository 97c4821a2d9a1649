"""The process of `pipeline api`: HTTP on an event loop, queries in threads, probes beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from typing import Any, NamedTuple

from pipeline import __version__
from pipeline.api.door import ApiDoor
from pipeline.api.routes import Api
from pipeline.clickhouse.client import Client
from pipeline.clickhouse.errors import AwayError, RefusedError
from pipeline.http.answers import Answer, RefusedRequestError
from pipeline.http.bodies import Bodies, BodyLimits, TemporaryBody
from pipeline.http.exchange import Exchange, peer_address, read_request
from pipeline.http.probes import Page, json_page, serve_probes
from pipeline.http.server import allow_files, check_port, keep_alive, make_server, parse_listen, wait_until_listening
from pipeline.observability.prometheus_api import ApiMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.settings.schema import Settings

log = logging.getLogger(__name__)

LISTEN = "api.listen"
TICK_S = 1.0
ANSWERED_WITHIN_S = 6.0
GONE_WITHIN_S = 9.0
STUCK_AFTER_S = 20.0
_BODIES = BodyLimits(timeout_s=10.0, min_bytes_per_s=1_000, memory_bytes=64_000_000, inline_bytes=1_048_576)
_HEADER_TIMEOUT_S = 10.0
_MAX_CONNECTIONS = 1_000


class ApiService(NamedTuple):
    """The parts of the read API."""

    settings: Settings
    api: Api
    client: Client
    rules: RulesFolder
    metrics: ApiMetrics


class ApiServer:
    """The RSGI application. `__rsgi__` is called for every request, on the event loop's thread."""

    def __init__(self, service: ApiService) -> None:
        self._door = ApiDoor(service.api, service.settings.api.tokens, Bodies(TemporaryBody, _BODIES))
        self._metrics = service.metrics
        self._keep_alive = keep_alive(_HEADER_TIMEOUT_S)

    async def __rsgi__(self, scope: Any, protocol: Exchange) -> None:
        """Answer one request. An error becomes an answer too."""
        if scope.proto != "http":
            return
        started = time.perf_counter()
        try:
            request = read_request(scope)
            if request.path.startswith("/api/0/"):
                answer = await self._door.answer(request, protocol, peer_address(scope))
            else:
                answer = RefusedRequestError(404, "not found").answer()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a request could not be answered")
            answer = Answer(500, b'{"detail":"internal error"}')
        self._metrics.answered(answer.status, time.perf_counter() - started)
        protocol.response_bytes(answer.status, [*answer.headers, self._keep_alive], answer.body)


def run_api(service: ApiService) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code. Raises SettingsError or OSError if a port is not available."""
    return asyncio.run(_Process(service).run())


class _Process:
    def __init__(self, service: ApiService) -> None:
        self._service = service
        self._beat = time.monotonic()
        self._leaving = asyncio.Event()
        self._is_listening = False

    async def run(self) -> int:
        allow_files()
        service, settings = self._service, self._service.settings
        host, port = parse_listen(settings.api.listen, LISTEN)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._leaving.set)
        check_port(host, port, LISTEN)
        pages = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": lambda: Page(200, "text/plain; version=0.0.4; charset=utf-8", service.metrics.page()),
        }
        probes = serve_probes(settings.web.host, settings.web.port, pages)
        server = make_server(ApiServer(service), host, port, max_connections=_MAX_CONNECTIONS, header_timeout_s=_HEADER_TIMEOUT_S)
        serving = asyncio.create_task(server.serve())
        ticking = asyncio.create_task(self._tick())
        await wait_until_listening(serving, host, port)
        self._is_listening = not serving.done()
        log.info(
            "listening",
            extra={
                "listen": settings.api.listen,
                "clickhouse": service.client.version,
                "rules": str(service.rules.path),
                "web": f"{settings.web.host}:{settings.web.port}",
                "version": __version__,
            },
        )
        await asyncio.wait({serving, asyncio.create_task(self._leaving.wait())}, return_when=asyncio.FIRST_COMPLETED)
        has_failed = serving.done()
        if has_failed:
            log.error("the HTTP server ended", exc_info=serving.exception())
        threading.Thread(target=_leave_in_time, args=(has_failed,), name="leave-in-time", daemon=True).start()
        server.stop()
        await asyncio.wait({serving}, timeout=ANSWERED_WITHIN_S)
        ticking.cancel()
        await asyncio.to_thread(probes.shutdown)
        _exit(has_failed=has_failed)
        return 1

    async def _tick(self) -> None:
        """About once a second: follow the rules."""
        while True:
            await asyncio.sleep(TICK_S)
            self._beat = time.monotonic()
            await asyncio.to_thread(self._service.rules.poll)

    def _health(self) -> Page:
        """Return a page that says whether the event loop runs."""
        silent_s = time.monotonic() - self._beat
        return json_page({"alive": silent_s < STUCK_AFTER_S, "silent_s": round(silent_s, 3)}, is_good=silent_s < STUCK_AFTER_S)

    def _ready(self) -> Page:
        """Return a page that says whether ClickHouse answers."""
        why = "leaving" if self._leaving.is_set() else "" if self._is_listening else "the port is not open yet"
        if not why:
            try:
                self._service.client.ping()
            except (AwayError, RefusedError) as error:
                why = str(error)
        return json_page({"ready": not why, "why": why}, is_good=not why)


def _leave_in_time(has_failed: bool) -> None:
    time.sleep(GONE_WITHIN_S)
    log.warning("leaving without waiting any longer")
    _exit(has_failed=has_failed)


def _exit(*, has_failed: bool) -> None:
    """End the process at once: a query that is under way in a thread must not hold it, and nothing of it is kept."""
    logging.shutdown()
    os._exit(1 if has_failed else 0)
