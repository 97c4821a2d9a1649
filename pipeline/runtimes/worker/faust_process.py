"""The worker's process: a Faust application with its signals, web views and the agent on outcomes; the hot path runs inside it.

Why the hot path is no agent of Faust's: docs/adr/0004-faust-around-librdkafka.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import faust
from mode import Service

from pipeline import __version__
from pipeline.kafka.errors import broker_errors
from pipeline.kafka.offsets import begin_at
from pipeline.model.errors import SettingsError
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.worker.faust_counts import KEPT_WINDOWS, WINDOW_S, count_outcomes
from pipeline.runtimes.worker.faust_transport import CommittedTransport
from pipeline.runtimes.worker.faust_views import add_views
from pipeline.runtimes.worker.work import Worker
from pipeline.settings.schema import KafkaSettings, Settings, WebSettings

log = logging.getLogger(__name__)

RULES_POLL_S = 1.0
BATCH_ENDS_WITHIN_S = 6.0
"""How long a batch may take to end after SIGTERM."""
FAUST_LEAVES_WITHIN_S = 3.0
"""How long Faust may take after that: amid a rebalance of its own group it can take half a minute."""

EXIT_AT_ONCE = 130


def _leave_after_crash() -> None:
    """End the process soon, whatever Faust still waits for. A supervisor starts a process again only after it has ended."""
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
        """Join the thread: one that still ran when Faust closes its loop would fail in the middle of a batch."""
        self.finish_batch()
        if not await asyncio.to_thread(self.join, BATCH_ENDS_WITHIN_S):
            log.error("the batch did not end in time; another worker takes it up")

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
        except Exception as error:  # whatever it is, the process ends and says so
            log.exception("the worker stopped")
            _leave_after_crash()
            self._loop.call_soon_threadsafe(self._loop.create_task, self.crash(error))


class RulesWatch(Service):  # type: ignore[misc]  # mode has no types here
    """Reads the rules folder again while the worker runs. It reads in a thread, so that the web views stay quick."""

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
    """Faust's worker with other signals: the first SIGTERM ends after the batch, the second at once. Neither loses anything."""

    def __init__(self, app: faust.App, hot_path: HotPath, *services: Service) -> None:
        super().__init__(app, hot_path, *services, override_logging=False, redirect_stdouts=False, quiet=True)
        self.spinner = None  # it draws on stdout, terminal or not
        self._hot_path = hot_path
        self._signals = 0

    def _on_sigterm(self) -> None:
        self._leave(signal.SIGTERM)

    def _on_sigint(self) -> None:
        self._leave(signal.SIGINT)

    def _leave(self, by: signal.Signals) -> None:
        self._signals += 1
        if self._signals > 1:
            log.warning("second signal: leaving at once; the open batch is taken up by another worker")
            logging.shutdown()
            os._exit(EXIT_AT_ONCE)
        log.info("leaving after this batch")
        self._hot_path.finish_batch()
        threading.Thread(target=self._leave_in_time, name="leave-in-time", daemon=True).start()
        self._schedule_shutdown(by)

    def _leave_in_time(self) -> None:
        """End the process ten seconds after the signal at the latest. Another worker takes up what is not committed by then."""
        has_ended = self._hot_path.join(BATCH_ENDS_WITHIN_S)
        time.sleep(FAUST_LEAVES_WITHIN_S)
        log.warning("leaving without waiting for Faust to end", extra={"batch_ended": has_ended})
        logging.shutdown()
        os._exit(0 if has_ended else 1)


def run_process(
    settings: Settings, worker: Worker, rules: RulesFolder, metrics: WorkerMetrics, *, outcome_partitions: Mapping[str, int]
) -> NoReturn:
    """Run until a signal, then end the process. `outcome_partitions` names the outcome topics with their numbers of partitions.

    Exit 0 after a signal, 1 after a crash or where the batch did not end in time, 130 at a second signal. Raises BrokerError.
    """
    log.info("starting", extra=_facts(settings, rules))
    app = make_app(settings)
    if settings.web.live_counts:
        with broker_errors("begin the live counts"):
            begin_at(settings.kafka, app.conf.id, outcome_partitions, time.time() - WINDOW_S * KEPT_WINDOWS)
        counts = count_outcomes(app, outcome_partitions)
    else:  # the agent listens to a topic that nobody writes: an application without any agent does not start
        counts = count_outcomes(app, {f"{settings.kafka.consumer_group}-live-counts-idle": 1})
    add_views(app, worker, rules, metrics, counts, settings)
    process = Process(app, HotPath(worker), RulesWatch(rules, metrics))
    process.execute_from_commandline()
    sys.exit(0)


def _facts(settings: Settings, rules: RulesFolder) -> dict[str, Any]:
    """Return what a person asks first about a worker that misbehaves: brokers, group, Redis, rules, version."""
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
    """Try the port before anything starts. Faust would fail later, with a stack trace. Raises SettingsError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise SettingsError(f"web.host and web.port: {error.strerror}") from None


def make_app(settings: Settings) -> faust.App:
    """Return the application. Faust uses its id as consumer group, so each process has its own, which is not the hot path's."""
    kafka = settings.kafka
    session_timeout_s = max(30.0, kafka.session_timeout_s)
    app = faust.App(
        f"{kafka.consumer_group}-live-counts-{secrets.token_hex(4)}",
        broker=[f"kafka://{address.strip()}" for address in kafka.brokers.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=session_timeout_s,
        broker_request_timeout=max(90.0, session_timeout_s + 10),  # Faust wants it to be the longer one
        store="memory://",
        datadir=tempfile.gettempdir(),
        topic_disable_leader=True,  # it would be a topic for each process
        topic_replication_factor=kafka.replication_factor,
        web_bind=settings.web.host,
        web_port=settings.web.port,
        web_host="127.0.0.1",
        consumer_auto_offset_reset="earliest",  # of a partition that is added
        stream_wait_empty=False,
        producer_compression_type=None,
    )
    app.transport = CommittedTransport(app.conf.broker, app, app.loop)
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    """Return in Faust's form the credentials that `pipeline.kafka.config` gives librdkafka."""
    if kafka.security_protocol == "PLAINTEXT":
        return None
    context = None
    if kafka.security_protocol.endswith("SSL"):
        context = ssl.create_default_context(cafile=kafka.ssl_ca_file)
        if kafka.ssl_certificate_file is not None:
            context.load_cert_chain(kafka.ssl_certificate_file, kafka.ssl_key_file, kafka.ssl_key_password)
    if not kafka.security_protocol.startswith("SASL"):
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )
