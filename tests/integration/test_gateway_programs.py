"""Programs that crash under the real SDKs of their languages, a page in a real Chromium, and a bundler that uploads its maps.

They send to a gateway on a real broker. The first run builds them, which takes some minutes; later runs find them in the cache.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
from support.gateway_process import GatewayProcess
from support.installation import Installation, until
from support.kafka_broker import Broker, fresh_settings, read_all
from support.programs import PROGRAMS, built, npm_packages, run

from pipeline.model.envelope import parse_envelope
from pipeline.settings.schema import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_200)]

RECORDED = PROGRAMS.parent / "recorded"
GO = ["go", "build", "-mod=mod", "-o", "depot", "."]
MAVEN = ["mvn", "-q", "-B", "package", "dependency:copy-dependencies"]
CARGO = ["cargo", "build", "--quiet"]
WAREHOUSE = ["java", "-cp", "target/classes:target/dependency/*", "example.shop.warehouse.Main"]


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return fresh_settings(broker)


@pytest.fixture
def gateway(tmp_path: Path, settings: Settings) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path, settings)
    gateway.start()
    yield gateway
    gateway.close()


def arrived(broker: Broker, topic: str) -> list[dict[str, Any]]:
    return [orjson.loads(msgpack.unpackb(message.value() or b"")["payload"]) for message in read_all(broker, topic)]


def named(event: dict[str, Any]) -> str:
    """Return what tells a program's events apart: the type of the last exception, or the message."""
    exception = event.get("exception") or []
    values = exception["values"] if isinstance(exception, dict) else exception
    return str(values[-1].get("type")) if values else str(event.get("message") or event.get("logentry"))


def recorded(sdk: str) -> Counter[str]:
    """Return how often each event was sent when the same program was recorded."""
    envelopes = (parse_envelope(path.read_bytes()) for path in (RECORDED / sdk).glob("*.envelope"))
    items = (item for envelope in envelopes for item in envelope.items if item.type == "event")
    return Counter(named(orjson.loads(item.payload)) for item in items)


@pytest.mark.parametrize(
    ("sdk", "build", "command"),
    [
        pytest.param("go", GO, ["./depot"], id="go"),
        pytest.param("java", MAVEN, WAREHOUSE, id="java"),
        pytest.param("rust", CARGO, ["target/debug/pricing"], id="rust"),
    ],
)
def test_a_program_s_events_all_arrive(
    gateway: GatewayProcess, broker: Broker, settings: Settings, sdk: str, build: Sequence[str], command: Sequence[str]
) -> None:
    folder = built(sdk, build, needs=[build[0], command[0]] if sdk == "java" else [build[0]])
    run(command, folder, SENTRY_DSN=gateway.dsn)
    expected = recorded(sdk)
    assert expected.total() > 10
    until(lambda: len(arrived(broker, settings.kafka.events_in)) >= expected.total(), what=gateway.log)
    assert Counter(named(event) for event in arrived(broker, settings.kafka.events_in)) == expected


CHECKOUT = """import { priceOf } from './price.js';

export function checkOut(cart) {
  return cart.items.map((item) => priceOf(item.sku));
}
"""
PRICE = """const prices = { book: { amount: 12 } };

export function priceOf(sku) {
  return prices[sku].amount;
}
"""
PAGE_SCRIPT = """import * as Sentry from '@sentry/browser';
import { checkOut } from './checkout.js';

Sentry.init({ dsn: DSN, release: 'front@1.0.0' });
try {
  checkOut({ items: [{ sku: 'lamp' }] });
} catch (error) {
  Sentry.captureException(error);
}
Sentry.flush(10000).then((flushed) => { document.title = flushed ? 'sent' : 'not sent'; });
"""
BUILD_SCRIPT = """import esbuild from 'esbuild';
import { sentryEsbuildPlugin } from '@sentry/esbuild-plugin';
const { DSN, SENTRY_URL } = process.env;
await esbuild.build({
  entryPoints: ['src/main.js'],
  outfile: 'public/app.js',
  bundle: true,
  minify: true,
  sourcemap: true,
  define: { DSN: JSON.stringify(DSN) },
  plugins: [sentryEsbuildPlugin({ url: SENTRY_URL, authToken: 'x', org: 'acme', project: '42', telemetry: false })],
});
"""
VISIT_SCRIPT = """import puppeteer from 'puppeteer-core';
import chromium from '@sparticuz/chromium';
const executablePath = process.env.CHROMIUM || (await chromium.executablePath());
const args = process.env.CHROMIUM ? ['--no-sandbox'] : chromium.args;
const browser = await puppeteer.launch({ executablePath, args, headless: 'shell' });
const page = await browser.newPage();
await page.goto(process.argv[2], { waitUntil: 'load' });
await page.waitForFunction("document.title !== ''", { timeout: 30000 });
console.log(await page.title());
await browser.close();
"""
PACKAGES = (
    "@sentry/browser@11.12.0",
    "@sentry/esbuild-plugin@5.4.0",
    "@sparticuz/chromium@147.0.0",
    "esbuild@0.28.2",
    "puppeteer-core@24.43.1",
)


class _served:  # noqa: N801 -- a context manager, used as a function
    """Serve a folder on a free port of the loopback, for a `with`; the value is the page's address."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(_QuietHandler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/index.html"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the test's output to itself."""


@pytest.mark.redis
def test_a_crash_in_chromium_has_its_original_frames(installation: Installation, tmp_path: Path) -> None:
    """The bundler's plugin uploads the maps to the gateway, the page crashes in a browser, and a worker resolves its frames."""
    packages = npm_packages("browser-and-bundler", *PACKAGES)
    artifacts = ("[artifacts]", f'url = "{tmp_path / "artifacts"}"', "poll_interval_s = 1.0")
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = GatewayProcess(folder, installation.settings, *artifacts)
    gateway.start()
    try:
        page = tmp_path / "page"
        (page / "src").mkdir(parents=True)
        (page / "node_modules").symlink_to(packages / "node_modules")
        scripts = {"src/main.js": PAGE_SCRIPT, "src/checkout.js": CHECKOUT, "src/price.js": PRICE}
        for name, text in {**scripts, "build.mjs": BUILD_SCRIPT, "visit.mjs": VISIT_SCRIPT}.items():
            (page / name).write_text(text)
        uploaded = run(["node", "build.mjs"], page, DSN=gateway.dsn, SENTRY_URL=f"http://127.0.0.1:{gateway.port}")
        assert uploaded.returncode == 0, uploaded.stdout + uploaded.stderr
        (page / "public" / "index.html").write_text('<!doctype html><script src="/app.js"></script>')
        with _served(page / "public") as address:
            visited = run(["node", "visit.mjs", address], page)
        assert visited.stdout.strip() == "sent", visited.stdout + visited.stderr
        installation.write_settings(*artifacts)
        installation.worker()
        until(lambda: len(installation.stored()) == 1, what=gateway.log)
    finally:
        gateway.close()
    [stored] = installation.stored()
    event = stored["data"]
    assert (event["release"], event["platform"]) == ("front@1.0.0", "javascript")
    frames = event["exception"]["values"][0]["stacktrace"]["frames"]
    assert [(frame.get("function"), frame["filename"].rpartition("/")[2], frame.get("lineno")) for frame in frames[-4:]] == [
        ("checkOut", "checkout.js", 4),
        ("Array.map", "<anonymous>", None),
        ("<anonymous>", "checkout.js", 4),
        ("priceOf", "price.js", 4),
    ]
    assert frames[-1]["context_line"] == "  return prices[sku].amount;"
    assert not event.get("errors")
