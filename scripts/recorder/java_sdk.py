"""io.sentry:sentry: the warehouse, built by Maven."""

from __future__ import annotations

from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import prepare, require, run

PROJECT_ID = 14


def record(server: CaptureServer) -> Recording:
    """Build the program once and run it once."""
    require("java", "mvn")
    folder = prepare("java")
    run(["mvn", "-q", "-B", "package", "dependency:copy-dependencies"], folder)
    runtime = "Java " + run(["java", "-XshowSettings:properties", "--version"], folder).splitlines()[0].removeprefix("openjdk ")
    recording = Recording("java", PROJECT_ID, runtime=runtime, how="mvn package, then java in /srv/shop/java")
    command = ["java", "-cp", "target/classes:target/dependency/*", "example.shop.warehouse.Main"]
    run(command, folder, environment={"SENTRY_DSN": server.dsn(PROJECT_ID)}, may_fail=True)
    recording.add(server.take().envelopes, made_by="programs/java")
    return recording
