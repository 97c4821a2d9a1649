"""sentry-go: the depot that ships what was sold."""

from __future__ import annotations

from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import prepare, require, run

PROJECT_ID = 15


def record(server: CaptureServer) -> Recording:
    """Build with a module cache below the root, as its paths are those of the SDK's frames, and run once."""
    require("go")
    folder = prepare("go", keep=("pkg",))
    environment = {"GOMODCACHE": str(folder / "pkg/mod"), "GOFLAGS": "-mod=mod -modcacherw", "GOTOOLCHAIN": "local"}
    run(["go", "build", "-o", "depot", "."], folder, environment=environment)
    runtime = run(["go", "version"], folder).removeprefix("go version ").strip()
    recording = Recording("go", PROJECT_ID, runtime=runtime, how="go build, then ./depot in /srv/shop/go")
    run(["./depot"], folder, environment={"SENTRY_DSN": server.dsn(PROJECT_ID)})
    recording.add(server.take().envelopes, made_by="programs/go")
    return recording
