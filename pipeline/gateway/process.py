"""The gateway's process: HTTP on an event loop, the spool's writer and the shipper in threads, and probes."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from pipeline import __version__
from pipeline.gateway.server import Door
from pipeline.gateway.spooled import Refusals, encode_head
from pipeline.http.probes import Page, json_page, serve_probes
from pipeline.http.server import allow_files, check_port, make_server, parse_listen, wait_until_listening
from pipeline.observability.prometheus_gateway import GatewayMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.loop import Loop, State
from pipeline.settings.schema import Settings
from pipeline.spool.segment import SpoolPosition
from pipeline.spool.spool import Spool

log = logging.getLogger(__name__)

LISTEN = "gateway.listen"
TICK_S = 1.0
ANSWERED_WITHIN_S = 4.0
"""How long requests that are under way may take after SIGTERM."""
SHIPPED_WITHIN_S = 3.0
"""How long the batch at hand may take to reach Kafka after that."""
GONE_WITHIN_S = 9.0
STUCK_AFTER_S = 20.0
"""If the event loop does not run for this long, `/health` fails."""
DURABLE_WITHIN_S = 3.0
"""How long `/ready` waits for a test record to become durable, after the last record failed."""


class SpoolReading(Protocol):
    """How far the spool was read."""

    @property
    def position(self) -> SpoolPosition | None:
        """Up to where was read, or None before anything was."""

    @property
    def broken(self) -> int:
        """How many records, or runs of bytes between records, could not be read."""


class CarryingOn(Protocol):
    """What is done with the records of the spool."""

    shipped_at: float
    """When the last record that was carried on was received, in epoch seconds."""


def _nothing() -> None:
    """Do nothing."""


class Gateway(NamedTuple):
    """The parts of a gateway, or of `pipeline serve`, whose loop does the rest of the work too.

    `about` is logged at the start, `on_listening` is called then, and `on_end` once nothing runs any more.
    """

    settings: Settings
    door: Door
    spool: Spool
    source: SpoolReading
    work: CarryingOn
    loop: Loop[Any, Any]
    rules: RulesFolder
    metrics: GatewayMetrics
    about: Mapping[str, str] = MappingProxyType({})
    on_listening: Callable[[], None] = _nothing
    on_end: Callable[[], None] = _nothing


def run_gateway(gateway: Gateway) -> int:
    """Run until SIGTERM or SIGINT, and return the exit code. Raises SettingsError or OSError if a port cannot be used."""
    return asyncio.run(_Process(gateway).run())


class _Process:
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._beat = time.monotonic()
        self._leaving = asyncio.Event()
        self._signals = 0
        self._shipper = threading.Thread(target=self._ship, name="shipper", daemon=True)
        self._has_failed = False
        self._is_listening = False

    async def run(self) -> int:
        allow_files()
        gateway, settings = self._gateway, self._gateway.settings
        host, port = parse_listen(settings.gateway.listen, LISTEN)
        self._events = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._events.add_signal_handler(number, self._on_signal)
        check_port(host, port, LISTEN)
        pages = {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics_page}
        probes = serve_probes(settings.web.host, settings.web.port, pages)
        own = settings.gateway
        server = make_server(gateway.door, host, port, max_connections=own.max_connections, header_timeout_s=own.header_timeout_s)
        self._shipper.start()
        serving = asyncio.create_task(server.serve())
        ticking = asyncio.create_task(self._tick())
        await wait_until_listening(serving, host, port)
        self._is_listening = not serving.done()
        log.info(
            "listening",
            extra={
                "listen": settings.gateway.listen,
                "spool": settings.gateway.spool,
                "spool_id": gateway.spool.id,
                "rules": str(gateway.rules.path),
                "web": f"{settings.web.host}:{settings.web.port}",
                "version": __version__,
                **gateway.about,
            },
        )
        gateway.on_listening()
        await asyncio.wait({serving, asyncio.create_task(self._leaving.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            log.error("the HTTP server ended", exc_info=serving.exception())
            self._has_failed = True
        threading.Thread(target=self._leave_in_time, name="leave-in-time", daemon=True).start()
        server.stop()
        await asyncio.wait({serving}, timeout=ANSWERED_WITHIN_S)
        ticking.cancel()
        gateway.loop.stop()
        await asyncio.to_thread(self._shipper.join, SHIPPED_WITHIN_S)
        self._flush_refusals()
        await asyncio.to_thread(gateway.spool.close)
        await asyncio.to_thread(probes.shutdown)
        if not self._shipper.is_alive():
            await asyncio.to_thread(gateway.on_end)
        if self._shipper.is_alive() or not serving.done():
            self._exit()  # nothing is lost: accepted requests are on disk, and the next start ends the open transaction
        return 1 if self._has_failed else 0

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 1:
            self._exit()
        log.info("leaving")
        self._leaving.set()

    def _leave_in_time(self) -> None:
        time.sleep(GONE_WITHIN_S)
        log.warning("leaving without waiting any longer")
        self._exit()

    def _exit(self) -> None:
        logging.shutdown()
        os._exit(1 if self._has_failed else 0)

    def _ship(self) -> None:
        try:
            self._gateway.loop.run()
        except Exception:
            log.exception("the shipper stopped")
            self._has_failed = True
            self._events.call_soon_threadsafe(self._leaving.set)

    async def _tick(self) -> None:
        """About once a second, read changed rules, write the counts of refusals, and update the metrics."""
        gateway = self._gateway
        refused = gateway.rules.refused
        while True:
            await asyncio.sleep(TICK_S)
            self._beat = time.monotonic()
            if await asyncio.to_thread(gateway.rules.poll):
                gateway.metrics.rules("loaded")
            if gateway.rules.refused != refused:
                refused = gateway.rules.refused
                if refused is not None:
                    gateway.metrics.rules("refused")
            self._flush_refusals()
            try:
                self._measure()
            except OSError as error:
                log.warning("the spool cannot be measured: %s", error)

    def _flush_refusals(self) -> None:
        for head in self._gateway.door.refusals.take(time.time()):
            self._gateway.spool.append(encode_head(head), b"")

    def _measure(self) -> None:
        gateway = self._gateway
        position = gateway.source.position
        has_more = position is None or position < gateway.spool.end
        since = gateway.work.shipped_at or gateway.spool.opened_at
        gateway.metrics.spool(
            stored_bytes=gateway.spool.stored_bytes(),
            age_s=max(0.0, time.time() - since) if has_more else 0.0,
            sync_s=gateway.spool.sync_s,
            broken=gateway.source.broken,
            body_bytes=gateway.door.bodies.held_bytes,
        )

    def _health(self) -> Page:
        """Return 200 while the event loop and the shipper's thread run. If this fails, the process should be restarted."""
        silent_s = time.monotonic() - self._beat
        is_alive = silent_s < STUCK_AFTER_S and gateway_is_shipping(self._gateway)
        return json_page({"alive": is_alive, "silent_s": round(silent_s, 3)}, is_good=is_alive)

    def _ready(self) -> Page:
        """Return 200 while accepted requests become durable. A broker that is away only causes lag, so it does not count."""
        error = self._gateway.spool.failure if self._is_listening else "the port is not open yet"
        if error is not None and self._is_listening and not self._leaving.is_set():
            error = self._try_spool()
        is_ready = error is None and not self._leaving.is_set()
        loop = self._gateway.loop
        body: dict[str, Any] = {"ready": is_ready, "shipper": loop.state, "shipper_waits_for": loop.why}
        return json_page(body | {"why": error or ("leaving" if self._leaving.is_set() else "")}, is_good=is_ready)

    def _try_spool(self) -> str | None:
        """Write an empty record. Return why it does not become durable, or None if it does."""
        try:
            self._gateway.spool.append(encode_head(Refusals(time.time(), ())), b"").result(DURABLE_WITHIN_S)
        except Exception as error:  # noqa: BLE001 -- whatever it is, this gateway cannot accept
            return str(error) or type(error).__name__
        return None

    def _metrics_page(self) -> Page:
        return Page(200, "text/plain; version=0.0.4; charset=utf-8", self._gateway.metrics.page())


def gateway_is_shipping(gateway: Gateway) -> bool:
    """Whether the shipper's loop still runs."""
    return gateway.loop.state is not State.STOPPED
