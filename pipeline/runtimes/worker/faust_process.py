"""The worker's process: a Faust application with its signals, services and web views; the hot path runs inside it.

Why the hot path and the live counts are no agents of Faust's: docs/adr/0004-faust-around-librdkafka.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from functools import partial
from typing import Any, NoReturn
from urllib.parse import urlsplit

import faust
from faust.app import BootStrategy
from mode import Service

from pipeline import __version__
from pipeline.kafka.tail import TopicTail
from pipeline.kafka.topics import outcome_topics
from pipeline.model.errors import SettingsError
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.worker.faust_views import add_views
from pipeline.runtimes.worker.live_counts import LiveCounts
from pipeline.runtimes.worker.work import Worker
from pipeline.settings.schema import Settings, WebSettings

log = logging.getLogger(__name__)

RULES_POLL_S = 1.0
BATCH_ENDS_WITHIN_S = 6.0
"""How long a batch may take to end after SIGTERM."""
FAUST_LEAVES_WITHIN_S = 3.0
"""How long Faust may take after that."""

EXIT_AT_ONCE = 130


def _leave_after_crash() -> None:
    """End the process soon, even if Faust still waits for something. A supervisor can only restart a process that has ended."""
    leave = threading.Timer(BATCH_ENDS_WITHIN_S + FAUST_LEAVES_WITHIN_S, os._exit, (1,))
    leave.daemon = True
    leave.start()


class HotPath(Service):  # type: ignore[misc]  # mode has no types here
    """The worker's loop in a thread of its own. Faust starts it first and ends it last."""

    def __init__(self, worker: Worker, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._worker = worker
        self._thread = threading.Thread(target=self._run, name="hot-path", daemon=True)

    async def on_start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._worker.lag_watch.start()

    async def on_stop(self) -> None:
        """Wait for the thread. If it still ran when Faust closes its event loop, it would fail in the middle of a batch."""
        self.finish_batch()
        if not await asyncio.to_thread(self.join, BATCH_ENDS_WITHIN_S):
            log.error("the batch did not end in time; another worker will process it")

    def finish_batch(self) -> None:
        """Ask the loop to end after its batch."""
        self._worker.loop.stop()

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end. False if it still runs after `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._worker.loop.run()
        except Exception as error:  # after any error the process logs it and ends
            log.exception("the worker stopped")
            _leave_after_crash()
            self._loop.call_soon_threadsafe(self._loop.create_task, self.crash(error))


class LiveCountsService(Service):  # type: ignore[misc]  # mode has no types here
    """The live counts, which read in a thread of their own."""

    def __init__(self, counts: LiveCounts, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._counts = counts

    async def on_start(self) -> None:
        """Start the thread."""
        self._counts.start()

    async def on_stop(self) -> None:
        """End the thread."""
        await asyncio.to_thread(self._counts.stop)


class RulesWatch(Service):  # type: ignore[misc]  # mode has no types here
    """Watches the rules folder while the worker runs. It reads in a thread, so that the web views are not delayed."""

    def __init__(self, rules: RulesFolder, metrics: WorkerMetrics, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rules = rules
        self._metrics = metrics

    @Service.task  # type: ignore[untyped-decorator]  # mode has no types here
    async def _watch(self) -> None:
        refused = self._rules.refused
        while not self.should_stop:
            if await asyncio.to_thread(self._rules.poll):
                self._metrics.rules("loaded")
            if self._rules.refused != refused:
                refused = self._rules.refused
                if refused is not None:
                    self._metrics.rules("refused")
            await self.sleep(RULES_POLL_S)


class Process(faust.Worker):  # type: ignore[misc]  # faust has no types here
    """Faust's worker with its own signal handling: the first SIGTERM ends it after the batch, the second at once."""

    def __init__(self, app: faust.App, hot_path: HotPath, *services: Service) -> None:
        super().__init__(app, hot_path, *services, override_logging=False, redirect_stdouts=False, quiet=True)
        self.spinner = None  # the spinner writes to stdout even without a terminal
        self._hot_path = hot_path
        self._signals = 0

    def _on_sigterm(self) -> None:
        self._leave(signal.SIGTERM)

    def _on_sigint(self) -> None:
        self._leave(signal.SIGINT)

    def _leave(self, by: signal.Signals) -> None:
        self._signals += 1
        if self._signals > 1:
            log.warning("second signal: leaving at once; another worker will process the open batch")
            logging.shutdown()
            os._exit(EXIT_AT_ONCE)
        log.info("leaving after this batch")
        self._hot_path.finish_batch()
        threading.Thread(target=self._leave_in_time, name="leave-in-time", daemon=True).start()
        self._schedule_shutdown(by)

    def _leave_in_time(self) -> None:
        """End the process at most ten seconds after the signal. Another worker processes what is not committed by then."""
        has_ended = self._hot_path.join(BATCH_ENDS_WITHIN_S)
        time.sleep(FAUST_LEAVES_WITHIN_S)
        log.warning("the worker ends without waiting for Faust", extra={"batch_ended": has_ended})
        logging.shutdown()
        os._exit(0 if has_ended else 1)


def run_process(settings: Settings, worker: Worker, rules: RulesFolder, metrics: WorkerMetrics) -> NoReturn:
    """Run until a signal, then end the process.

    The exit code is 0 after a signal, 1 after a crash or if the batch did not end in time, 130 after a second signal.
    """
    log.info("starting", extra=_facts(settings, rules))
    app = make_app(settings)
    services: list[Service] = [RulesWatch(rules, metrics)]
    counts = None
    if settings.web.live_counts:
        counts = LiveCounts(partial(TopicTail, settings.kafka, outcome_topics(settings.kafka)))
        services.append(LiveCountsService(counts))
    add_views(app, worker, rules, metrics, counts, settings)
    process = Process(app, HotPath(worker), *services)
    try:
        process.execute_from_commandline()
    finally:
        log.info("the worker has ended", extra={"partitions_left": worker.partitions(), "batches": worker.loop.batches})
    sys.exit(0)


def _facts(settings: Settings, rules: RulesFolder) -> dict[str, Any]:
    """Return what the log line at the start says: version, brokers, group, Redis and rules."""
    kafka = settings.kafka
    redis = urlsplit(settings.redis.url or "")
    return {
        "brokers": kafka.brokers,
        "consumer_group": kafka.consumer_group,
        "events_in": kafka.events_in,
        "slot": kafka.slot,
        "redis": redis.netloc.rpartition("@")[2] + redis.path,  # without its password
        "rules": str(rules.path),
        "rules_version": rules.current.version,
        "web": f"{settings.web.host}:{settings.web.port}",
        "version": __version__,
    }


def check_port(web: WebSettings) -> None:
    """Check that the port is free before anything starts. Faust would fail later, with a stack trace. Raises SettingsError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise SettingsError(f"web.host and web.port: {error.strerror}") from None


class WithoutKafka(BootStrategy):  # type: ignore[misc]  # faust has no types here
    """What Faust starts by itself: web views and sensors. Its Kafka clients stay off, so it needs no broker and no group."""

    enable_kafka = False


class WorkerApplication(faust.App):  # type: ignore[misc]  # faust has no types here
    """The worker's application: web views, and the services around the hot path."""

    BootStrategy = WithoutKafka


def make_app(settings: Settings) -> WorkerApplication:
    """Return the application. Faust's own views, which nobody asked for, are off."""
    return WorkerApplication(
        settings.kafka.consumer_group,
        store="memory://",
        datadir=tempfile.gettempdir(),
        web_bind=settings.web.host,
        web_port=settings.web.port,
        web_host="127.0.0.1",
        web_router_enabled=False,
        web_tables_enabled=False,
        web_graph_enabled=False,
        web_stats_enabled=False,
    )
