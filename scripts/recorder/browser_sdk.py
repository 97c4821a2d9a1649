"""@sentry/browser in headless Chromium: the storefront as four builds, and from its sources for the truth."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from recorder.bundles import Build, bundle, prepare_tools, upload
from recorder.capture import CaptureServer
from recorder.envelope import SentEnvelope
from recorder.fixtures import Recording
from recorder.truth import frames_of_source_run
from recorder.workspace import npm_install, prepare, require, run

PROJECT_ID = 13
SITE = "http://shop.example"
ALL: tuple[str, ...] = ()
"""An empty list: every button of the page is clicked."""
WITH_A_STACK_OF_OURS = (
    "unknown-sku",
    "getter-without-weight",
    "static-from-bad-json",
    "generator-labels",
    "custom-error",
    "rejected-with-cause",
    "rejected-aggregate",
    "caught-and-reported",
    "timer-callback",
    "dom-exception",
    "lazy-chunk",
    "unicode-everywhere",
)
WITHOUT_TRUTH = ("huge-recursion",)
"""Where a stack overflows depends on the size of its frames, which minifying changes."""
BUILDS = {
    Build("esbuild", "esbuild", "storefront@3.0.0", upload_names_release=False): ALL,
    Build("webpack", "webpack", "storefront@3.0.0", dist="114"): (*WITH_A_STACK_OF_OURS, "chunk-missing"),
    Build("rollup", "rollup", "storefront@3.1.0-beta.2"): (*WITH_A_STACK_OF_OURS, "chunk-missing"),
    Build("plain", "esbuild", "storefront@2.9.4", dist="77", debug_ids=False, url_prefix="~/plain"): WITH_A_STACK_OF_OURS,
}


def record(server: CaptureServer) -> Recording:
    """Build the storefront, upload each build, and click every button in the browser."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    require("node", "npm", chromium)
    tools, folder = prepare_tools(), prepare("browser", keep=("node_modules",))
    npm_install(folder)
    public = folder / "public"
    esbuild = tools / "node_modules/.bin/esbuild"
    run([str(esbuild), "sdk.js", "--bundle", "--minify", "--format=iife", f"--outfile={public / 'vendor/sentry.js'}"], folder)
    how = "the builds of programs/tools/bundle.mjs, one page load and one click an event (programs/tools/visit.mjs)"
    recording = Recording("browser", PROJECT_ID, runtime=run([chromium, "--version"], folder).strip(), how=how)

    shutil.copytree(folder / "src", public / "source/src")
    sources = Build("source", "none", "storefront@3.0.0", debug_ids=False)
    _write_page(folder, server, sources, entry="src/main.js", module=True)
    truth_of = {event["tags"]["scenario"]: event for sent in _visit(tools, server, "source", ALL) if (event := sent.event())}
    for build, scenarios in BUILDS.items():
        entry = bundle(tools, build, platform="browser", entry=folder / "src/main.js", out=public / build.name)
        recording.bundles[build.name] = upload(tools, server, build, project_id=PROJECT_ID, out=public / build.name)
        _write_page(folder, server, build, entry=entry, module=build.bundler == "rollup")
        events = recording.add(
            _visit(tools, server, build.name, scenarios),
            made_by=f"programs/browser/src, build {build.name}",
            prefix=f"{build.name}-",
        )
        for scenario, event in events.items():
            frames = frames_of_source_run(event, truth_of[scenario], built=f"{SITE}/{build.name}/", sources=f"{SITE}/source/src/")
            if frames and scenario not in WITHOUT_TRUTH:
                recording.truth[event["event_id"]] = {"file": f"browser/{build.name}-{scenario}.envelope", "exceptions": frames}
    return recording


def _write_page(folder: Path, server: CaptureServer, build: Build, *, entry: str, module: bool) -> None:
    values = {
        "release": build.release,
        "dist": build.dist,
        "dsn": server.dsn(PROJECT_ID, host="sentry.shop.example"),
        "entry": f"/{build.name}/{entry}",
        "script_attributes": 'type="module"' if module else "defer",
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    for name, value in values.items():
        page = page.replace("{{" + name + "}}", value)
    (folder / "public" / build.name / "index.html").write_text(page, encoding="utf-8")


def _visit(tools: Path, server: CaptureServer, build: str, scenarios: tuple[str, ...]) -> list[SentEnvelope]:
    run(["node", "visit.mjs", f"{SITE}/{build}/index.html", str(server.port), *scenarios], tools)
    return server.take().envelopes
