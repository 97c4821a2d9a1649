"""@sentry/node: the API of the shop, run from its sources and as four builds."""

from __future__ import annotations

from recorder.bundles import Build, bundle, prepare_tools, upload
from recorder.capture import CaptureServer
from recorder.fixtures import Recording
from recorder.truth import frames_of_source_run
from recorder.workspace import npm_install, prepare, require, run

PROJECT_ID = 12
WITH_A_STACK_OF_OURS = (
    "unknown-sku",
    "getter-without-weight",
    "static-from-bad-json",
    "chain-of-two",
    "chain-of-three",
    "aggregate-error",
    "generator-over-orders",
    "timer-callback",
    "event-emitter",
    "request-checkout",
    "fingerprint-extends-default",
    "unicode-everywhere",
)
BUILDS = (
    Build("esbuild", "esbuild", "shop-api@3.0.0", upload_names_release=False),
    Build("webpack", "webpack", "shop-api@3.0.0", dist="9"),
    Build("rollup", "rollup", "shop-api@3.1.0-rc.1"),
    Build("plain", "esbuild", "shop-api@2.9.4", dist="8", debug_ids=False, url_prefix="app:///"),
)


def record(server: CaptureServer) -> Recording:
    """Run all scenarios from the sources, then those whose stack is in the program's own files, in each build."""
    require("node", "npm")
    tools, folder = prepare_tools(), prepare("node", keep=("node_modules",))
    npm_install(folder)
    runtime = "Node " + run(["node", "--version"], folder).strip()
    how = "node PROGRAM in /srv/shop/node, packages beside it; builds by programs/tools/bundle.mjs"
    recording = Recording("node", PROJECT_ID, runtime=runtime, how=how)
    environment = {"SENTRY_DSN": server.dsn(PROJECT_ID), "NODE_ENV": "production"}

    run(["node", "src/main.js"], folder, environment={**environment, "SHOP_RELEASE": "shop-api@3.0.0"}, may_fail=True)
    from_sources = recording.add(server.take().envelopes, made_by="programs/node/src/main.js")
    for build in BUILDS:
        out = folder / "dist" / build.name
        entry = bundle(tools, build, platform="node", entry=folder / "src/main.js", out=out)
        recording.bundles[build.name] = upload(tools, server, build, project_id=PROJECT_ID, out=out)
        settings = {"SHOP_RELEASE": build.release, "SHOP_DIST": build.dist, "SHOP_APP_ROOT": "" if build.debug_ids else str(out)}
        program = str((out / entry).relative_to(folder))
        run(["node", program, *WITH_A_STACK_OF_OURS], folder, environment=environment | settings, may_fail=True)
        events = recording.add(server.take().envelopes, made_by=f"programs/node/src, build {build.name}", prefix=f"{build.name}-")
        built = f"{out}/" if build.debug_ids else f"app:///{entry}"
        for scenario, event in events.items():
            frames = frames_of_source_run(event, from_sources[scenario], built=built, sources=f"{folder}/src/")
            if frames:
                recording.truth[event["event_id"]] = {"file": f"node/{build.name}-{scenario}.envelope", "exceptions": frames}
    return recording
