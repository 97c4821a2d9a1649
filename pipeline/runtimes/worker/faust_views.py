"""The worker's web views: `/health`, `/ready`, `/metrics`, `/counts`, `/rules`."""

from __future__ import annotations

import time
from typing import Any

import faust
from faust.web import Request, Response, View

from pipeline import __version__
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.runtimes.loop import State
from pipeline.runtimes.worker.faust_counts import KEPT_WINDOWS, MinuteTable
from pipeline.runtimes.worker.work import Worker
from pipeline.settings.schema import Settings

BATCH_TAKES_S = 5.0
"""A worker whose step takes longer is not ready. Most likely it is a commit whose broker is away."""


_STEPS = {
    "start": "the worker has been starting for {:.0f} s",
    "poll": "kafka: the client has not answered for {:.0f} s",
    "run": "a batch has been in its stages for {:.0f} s",
    "commit": "kafka: a commit has taken {:.0f} s so far",
    "hold": "kafka: the client has not answered for {:.0f} s while a batch is held",
}
"""Explanation of a step that takes long."""


def add_views(
    app: faust.App, worker: Worker, rules: RulesFolder, metrics: WorkerMetrics, counts: MinuteTable, settings: Settings
) -> None:
    """Register the views on Faust's web server."""
    loop = worker.loop

    @app.page("/health")  # type: ignore[untyped-decorator]  # faust has no types here
    async def health(self: View, _: Request) -> Response:
        """Live: the hot path's loop turns. A probe that fails here should restart the process."""
        silent_s = time.monotonic() - loop.last_beat
        alive = silent_s < settings.kafka.max_poll_interval_s and loop.state is not State.STOPPED
        return self.json({"alive": alive, "silent_s": round(silent_s, 3)}, status=200 if alive else 503)

    @app.page("/ready")  # type: ignore[untyped-decorator]  # faust has no types here
    async def ready(self: View, _: Request) -> Response:
        """Ready: in the group and working. Not ready is no reason for a restart: the body says what is awaited."""
        body = {"ready": loop.state is State.RUNNING, "state": loop.state, "why": loop.why, "partitions": worker.partitions()}
        silent_s = time.monotonic() - loop.last_beat
        if body["ready"] and silent_s > BATCH_TAKES_S:
            body |= {"ready": False, "why": _STEPS[loop.step].format(silent_s)}
        return self.json(body, status=200 if body["ready"] else 503)

    @app.page("/metrics")  # type: ignore[untyped-decorator]  # faust has no types here
    async def metrics_page(self: View, _: Request) -> Response:
        """Prometheus's page."""
        return self.bytes(metrics.page(), content_type="text/plain")

    @app.page("/counts")  # type: ignore[untyped-decorator]  # faust has no types here
    async def live_counts(self: View, request: Request) -> Response:
        """Outcomes per project, category and reason, by minute; `?minutes=5` for more than the last two, up to 15."""
        wanted = request.query.get("minutes", "2")
        number = min(int(wanted), KEPT_WINDOWS) if wanted.isdecimal() else 2
        return self.json({"minutes": counts.minutes(number)})

    @app.page("/rules")  # type: ignore[untyped-decorator]  # faust has no types here
    async def rules_in_force(self: View, _: Request) -> Response:
        """Rules in force: their version, the projects that have their own, and why an edit was refused."""
        return self.json(describe_rules(rules))


def describe_rules(rules: RulesFolder) -> dict[str, Any]:
    """Describe the rules in force."""
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
