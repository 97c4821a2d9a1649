"""The process of `pipeline store`: a loop for each topic, each in a thread, and probes."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline import __version__
from pipeline.clickhouse.client import Client
from pipeline.http.probes import Page, json_page, serve_probes
from pipeline.kafka.batch import KafkaBatch
from pipeline.kafka.lag import LagWatch
from pipeline.observability.prometheus_store import StoreMetrics
from pipeline.runtimes.loop import Loop, State
from pipeline.settings.schema import WebSettings
from pipeline.store.work import StoreResult

log = logging.getLogger(__name__)

STUCK_AFTER_S = 120.0
"""If a loop makes no progress for this long, `/health` fails. An insert may take a while."""
GONE_WITHIN_S = 9.0


class TopicLoop(NamedTuple):
    """The loop of one topic, and the watch of its lag."""

    topic: str
    loop: Loop[KafkaBatch, StoreResult[Any]]
    lag_watch: LagWatch


class Store(NamedTuple):
    """The parts of a store."""

    topics: tuple[TopicLoop, ...]
    client: Client
    metrics: StoreMetrics


class StoreProcess:
    """Runs the loops until SIGTERM, SIGINT, or until one of them fails."""

    def __init__(self, store: Store, web: WebSettings) -> None:
        self._store = store
        self._web = web
        self._leaving = threading.Event()
        self._has_failed = False
        self._threads = [
            threading.Thread(target=self._run, args=(topic,), name=f"store-{topic.topic}", daemon=True) for topic in store.topics
        ]

    def run(self) -> int:
        """Return the exit code. Raises OSError if the port of the probes cannot be used."""
        pages: dict[str, Callable[[], Page]] = {
            "/health": self._health,
            "/ready": self._ready,
            "/metrics": lambda: Page(200, "text/plain; version=0.0.4; charset=utf-8", self._store.metrics.page()),
        }
        probes = serve_probes(self._web.host, self._web.port, pages)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        about = {"web": f"{self._web.host}:{self._web.port}", "clickhouse": self._store.client.version, "version": __version__}
        log.info("storing", extra={"topics": [topic.topic for topic in self._store.topics], **about})
        for topic, thread in zip(self._store.topics, self._threads, strict=True):
            topic.lag_watch.start()
            thread.start()
        self._leaving.wait()
        log.info("leaving")
        deadline = time.monotonic() + GONE_WITHIN_S
        for topic in self._store.topics:
            topic.loop.stop()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        probes.shutdown()
        if any(thread.is_alive() for thread in self._threads):
            log.warning(
                "leaving without waiting any longer: the bounds of the batch are durable, and the next process repeats it"
            )
            logging.shutdown()
            os._exit(1 if self._has_failed else 0)
        self._store.client.close()
        return 1 if self._has_failed else 0

    def _on_signal(self, *_: Any) -> None:
        if self._leaving.is_set():
            os._exit(1 if self._has_failed else 0)
        self._leaving.set()

    def _run(self, topic: TopicLoop) -> None:
        try:
            topic.loop.run()
        except Exception:
            log.exception("the loop stopped", extra={"topic": topic.topic})
            self._has_failed = True
        finally:
            self._leaving.set()

    def _health(self) -> Page:
        """Return 200 while every loop makes progress. If this fails, the process should be restarted."""
        silent = {topic.topic: round(time.monotonic() - topic.loop.last_beat, 3) for topic in self._store.topics}
        is_alive = all(seconds < STUCK_AFTER_S for seconds in silent.values())
        return json_page({"alive": is_alive, "silent_s": silent}, is_good=is_alive)

    def _ready(self) -> Page:
        """Return 200 while every loop runs. Otherwise the body names what each waits for."""
        loops = {topic.topic: {"state": topic.loop.state, "why": topic.loop.why} for topic in self._store.topics}
        is_ready = not self._leaving.is_set() and all(topic.loop.state is State.RUNNING for topic in self._store.topics)
        return json_page({"ready": is_ready, "topics": loops}, is_good=is_ready)
