"""The worker's web views: `/health`, `/ready`, `/metrics`, `/counts`, `/rules`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import faust
from faust.web import Request, Response, View

from pipeline import __version__
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.loop import State
from pipeline.runtimes.worker.live_counts import KEPT_WINDOWS, LiveCounts
from pipeline.runtimes.worker.work import Worker
from pipeline.settings.schema import Settings

COUNTS_WITHIN_S = 3.0
"""How long the first request for live counts waits until all outcomes were read."""
SERVICE_TAKES_S = 1.0
"""A service that a batch waits for longer than this is named as the reason why the worker is not ready."""

_STEPS = {
    "start": (5.0, "the worker has been starting for {:.0f} s"),
    "poll": (2.0, "kafka: the client has not answered for {:.0f} s"),
    "run": (5.0, "a batch has been in its stages for {:.0f} s"),
    "commit": (2.0, "kafka: a commit has taken {:.0f} s so far"),
    "hold": (2.0, "kafka: the client has not answered for {:.0f} s while a batch is held"),
}
"""For each step of the loop: the seconds after which the worker counts as not ready, and the reason to show."""


def add_views(
    app: faust.App, worker: Worker, rules: RulesFolder, metrics: WorkerMetrics, counts: LiveCounts | None, settings: Settings
) -> None:
    """Register the views on Faust's web server."""
    loop = worker.loop

    @app.page("/health")  # type: ignore[untyped-decorator]  # faust has no types here
    async def health(self: View, _: Request) -> Response:
        """Return 200 while the loop makes progress. If this fails, the process should be restarted."""
        silent_s = time.monotonic() - loop.last_beat
        alive = silent_s < settings.kafka.max_poll_interval_s and loop.state is not State.STOPPED
        return self.json({"alive": alive, "silent_s": round(silent_s, 3)}, status=200 if alive else 503)

    @app.page("/ready")  # type: ignore[untyped-decorator]  # faust has no types here
    async def ready(self: View, _: Request) -> Response:
        """Ready: whether the worker is in its group and processes batches.

        If not, the body says what it waits for; do not restart it.
        """
        body = {"ready": loop.state is State.RUNNING, "state": loop.state, "why": loop.why, "partitions": worker.partitions()}
        if body["ready"]:
            why = slow_step(loop.step, time.monotonic() - loop.last_beat, worker.redis_silent_s())
            if why:
                body |= {"ready": False, "state": State.WAITING, "why": why}
        return self.json(body, status=200 if body["ready"] else 503)

    @app.page("/metrics")  # type: ignore[untyped-decorator]  # faust has no types here
    async def metrics_page(self: View, _: Request) -> Response:
        """Return the metrics in the form that Prometheus reads."""
        return self.bytes(metrics.page(), content_type="text/plain")

    @app.page("/counts")  # type: ignore[untyped-decorator]  # faust has no types here
    async def live_counts(self: View, request: Request) -> Response:
        """Outcomes of all workers by minute; `?minutes=5` for more than the last two, up to 15."""
        if counts is None:
            return self.json({"complete": False, "minutes": [], "why": "web.live_counts is off"}, status=404)
        wanted = request.query.get("minutes", "2")
        number = max(1, min(int(wanted), KEPT_WINDOWS)) if wanted.isdecimal() else 2
        return self.json(await asyncio.to_thread(counts.ask, number, COUNTS_WITHIN_S))

    @app.page("/rules")  # type: ignore[untyped-decorator]  # faust has no types here
    async def rules_in_force(self: View, _: Request) -> Response:
        """Return the rules in force: their version, the projects with rules of their own, and why an edit was refused."""
        return self.json(describe_rules(rules))


def slow_step(step: str, seconds: float, redis_silent_s: float) -> str:
    """Return why a worker whose loop has been in a step for some seconds is not ready, or "" if it is.

    `redis_silent_s` is how long the call to Redis that is under way has been waiting, 0 if there is none.
    """
    if redis_silent_s > SERVICE_TAKES_S:
        return f"redis: no answer for {redis_silent_s:.0f} s"
    longest, why = _STEPS[step]
    return why.format(seconds) if seconds > longest else ""


def describe_rules(rules: RulesFolder) -> dict[str, Any]:
    """Return the body of `/rules`."""
    current = rules.current
    return {
        "version": current.version,
        "refused": rules.refused,
        "code": __version__,
        "projects": {
            str(project_id): {"slug": own.project.slug, "quotas": len(own.quotas)}
            for project_id, own in sorted(current.projects.items())
        },
    }
