"""@sentry/node: the API of the shop, run from its sources."""

from __future__ import annotations

from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import npm_install, prepare, require, run

PROJECT_ID = 12


def record(server: CaptureServer) -> Recording:
    """Run all scenarios from the sources."""
    require("node", "npm")
    folder = prepare("node", keep=("node_modules",))
    npm_install(folder)
    runtime = "Node " + run(["node", "--version"], folder).strip()
    recording = Recording("node", PROJECT_ID, runtime=runtime, how="node PROGRAM in /srv/shop/node, packages beside it")
    run(["node", "src/main.js"], folder, environment=_environment(server, "shop-api@3.0.0"), may_fail=True)
    recording.add(server.take().envelopes, made_by="programs/node/src/main.js")
    return recording


def _environment(server: CaptureServer, release: str) -> dict[str, str]:
    return {"SENTRY_DSN": server.dsn(PROJECT_ID), "SHOP_RELEASE": release, "NODE_ENV": "production"}
