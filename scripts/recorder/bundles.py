"""Minified builds: made by real bundlers, given debug ids and uploaded by the real sentry-cli."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recorder.capture import CaptureServer
from recorder.workspace import RecordingError, npm_install, prepare, run


@dataclass(frozen=True)
class Build:
    """One build of a program: the bundler, what it is released as, and how its maps are found later."""

    name: str
    bundler: str
    release: str
    dist: str = ""
    debug_ids: bool = True
    upload_names_release: bool = True
    """False: the upload is bound to no release, and its debug ids alone lead to it."""
    url_prefix: str = ""
    """For builds without debug ids: the URLs under which the files were served, up to their path in the build."""


def prepare_tools() -> Path:
    """Install bundlers, sentry-cli and the browser's driver, and return their folder."""
    tools = prepare("tools", keep=("node_modules",))
    npm_install(tools)
    return tools


def bundle(tools: Path, build: Build, *, platform: str, entry: Path, out: Path) -> str:
    """Build a program into `out`, with debug ids where the build has them. Returns the entry file's name in `out`."""
    command = ["node", "bundle.mjs", build.bundler, platform, str(entry), str(out)]
    entry_file = run(command, tools).strip().splitlines()[-1]
    if build.debug_ids:
        run([_sentry_cli(tools), "sourcemaps", "inject", str(out)], tools)
    return entry_file


def upload(tools: Path, server: CaptureServer, build: Build, *, project_id: int, out: Path) -> bytes:
    """Let sentry-cli upload a build to the recorder. Returns the bundle that arrived, byte for byte."""
    command = [_sentry_cli(tools), "sourcemaps", "upload"]
    command += ["--release", build.release] if build.upload_names_release else []
    command += ["--dist", build.dist] if build.dist else []
    command += ["--url-prefix", build.url_prefix] if build.url_prefix else []
    environment = {
        "SENTRY_URL": f"http://127.0.0.1:{server.port}",
        "SENTRY_AUTH_TOKEN": "none",
        "SENTRY_ORG": "acme",
        "SENTRY_PROJECT": str(project_id),
    }
    run([*command, str(out)], tools, environment=environment)
    chunks = list(server.take().chunks.values())
    if len(chunks) != 1:
        raise RecordingError(f"{build.name}: one bundle was expected, {len(chunks)} chunks came")
    return chunks[0]


def _sentry_cli(tools: Path) -> str:
    return str(tools / "node_modules/.bin/sentry-cli")
