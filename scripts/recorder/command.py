"""The command line: which SDKs to record, in which order."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from recorder import browser_sdk, go_sdk, java_sdk, node_sdk, python_sdk, rust_sdk
from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.workspace import REPOSITORY, ROOT, RecordingError

SDKS: dict[str, Callable[[CaptureServer], Recording]] = {
    "python": python_sdk.record,
    "node": node_sdk.record,
    "browser": browser_sdk.record,
    "java": java_sdk.record,
    "go": go_sdk.record,
    "rust": rust_sdk.record,
}
PORT = 9310
"""Part of every DSN, so it is fixed: recordings of two days differ in as little as possible."""


def main() -> int:
    """Record the chosen SDKs. Returns 0, or 1 with a message when one could not be recorded."""
    parser = argparse.ArgumentParser(
        prog="record_fixtures",
        description=f"Run the programs of tests/fixtures/programs under real SDKs and write what they send to tests/fixtures. "
        f"Works in {ROOT}, needs the package registries and a free port {PORT}.",
    )
    parser.add_argument("--only", action="append", choices=SDKS, metavar="SDK", help=f"one of {', '.join(SDKS)}; may be repeated")
    chosen = parser.parse_args().only or list(SDKS)
    try:
        with CaptureServer(PORT, pages=ROOT / "browser/public") as server:
            for sdk in chosen:
                print(f"{sdk}: recording", flush=True)
                recording = SDKS[sdk](server)
                recording.write(forbidden=[str(REPOSITORY) + "/", str(Path.home()) + "/", platform.release()])
                print(f"{sdk}: {len(recording.index['events'])} events of {recording.index['events'][0]['sdk']}")
    except RecordingError as error:
        print(f"record_fixtures: {error}", file=sys.stderr)
        return 1
    return 0
