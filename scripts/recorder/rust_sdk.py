"""The sentry crate: the shop's pricing, with its dependencies beside it so that their paths are below the root."""

from __future__ import annotations

from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import prepare, require, run

PROJECT_ID = 16
FROM_VENDOR = ["--config", 'source.crates-io.replace-with="beside"', "--config", 'source.beside.directory="vendor"']


def record(server: CaptureServer) -> Recording:
    """Build the program with debug information and run it once."""
    require("cargo", "rustc")
    folder = prepare("rust", keep=("vendor", "target", "Cargo.lock"))
    run(["cargo", "vendor", "--quiet"], folder)
    run(["cargo", "build", "--quiet", *FROM_VENDOR], folder)
    runtime = run(["rustc", "--version"], folder).strip()
    recording = Recording("rust", PROJECT_ID, runtime=runtime, how="cargo build, then target/debug/pricing in /srv/shop/rust")
    run(["target/debug/pricing"], folder, environment={"SENTRY_DSN": server.dsn(PROJECT_ID)})
    recording.add(server.take().envelopes, made_by="programs/rust")
    return recording
