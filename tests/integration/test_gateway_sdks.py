"""Real SDKs send through the gateway into a real broker: each packs and frames its requests in its own way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
import sentry_sdk
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.gateway_process import KEY, GatewayProcess
from support.installation import until
from support.kafka_broker import Broker, fresh_settings, read_all
from support.programs import npm_packages

from pipeline.settings.schema import Settings

pytestmark = pytest.mark.kafka

NODE_SDK = "@sentry/node@11.12.0"
NODE_PROGRAM = """
import * as Sentry from "@sentry/node";
Sentry.init({ dsn: process.env.DSN, release: "shop@1", integrations: [] });
try { null.total } catch (error) { Sentry.captureException(error); }
Sentry.captureMessage("large", { extra: { blob: "x".repeat(200000) } });
process.exit((await Sentry.flush(10000)) ? 0 : 1);
"""


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return fresh_settings(broker)


@pytest.fixture
def gateway(tmp_path: Path, settings: Settings) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path, settings)
    gateway.start()
    yield gateway
    gateway.close()


def payloads(gateway: GatewayProcess, broker: Broker, settings: Settings, number: int) -> list[dict[str, Any]]:
    """Return the events that have arrived, as soon as there are so many."""
    found: list[dict[str, Any]] = []

    def have_come() -> bool:
        messages = read_all(broker, settings.kafka.events_in)
        found[:] = [orjson.loads(msgpack.unpackb(message.value() or b"")["payload"]) for message in messages]
        return len(found) >= number

    until(have_come, what=gateway.log)
    return found


@pytest.mark.parametrize("packing", ["br", "gzip"])
def test_python(gateway: GatewayProcess, broker: Broker, settings: Settings, packing: Any) -> None:
    client = sentry_sdk.Client(
        gateway.dsn,
        default_integrations=False,
        _experiments={"transport_compression_algo": packing, "transport_compression_level": 4},
    )
    client.capture_event({"message": "small"})
    client.capture_event({"message": "large", "extra": {"blob": "x" * 200_000}})
    client.flush(10)
    client.close()
    assert sorted(event["message"] for event in payloads(gateway, broker, settings, 2)) == ["large", "small"]


def test_opentelemetry(gateway: GatewayProcess, broker: Broker, settings: Settings) -> None:
    """Its own exporter for Python sends a batch of two exceptions twice, as after a lost answer."""
    provider = TracerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1"}))
    collected = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(collected))
    tracer = provider.get_tracer("shop.cart")
    for number in (1, 2):
        with pytest.raises(ValueError, match="card"), tracer.start_as_current_span("pay"):
            raise ValueError(f"card {number}")
    exporter = OTLPSpanExporter(
        f"http://127.0.0.1:{gateway.port}/api/42/integration/otlp/v1/traces",
        headers={"x-sentry-auth": f"sentry sentry_key={KEY}"},
        compression=Compression.Gzip,
    )
    for _ in range(2):
        assert exporter.export(collected.get_finished_spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()  # type: ignore[no-untyped-call]
    provider.shutdown()
    events = payloads(gateway, broker, settings, 4)
    assert sorted(event["exception"]["values"][0]["value"] for event in events) == ["card 1", "card 1", "card 2", "card 2"]
    assert {event["release"] for event in events} == {"shop@1"}
    assert all(event["exception"]["values"][0]["stacktrace"]["frames"] for event in events)
    messages = read_all(broker, settings.kafka.events_in)
    assert len({msgpack.unpackb(message.value() or b"")["event_id"] for message in messages}) == 2


def test_node(gateway: GatewayProcess, broker: Broker, settings: Settings) -> None:
    folder = npm_packages("sentry-node", NODE_SDK)
    (folder / "program.mjs").write_text(NODE_PROGRAM)
    done = subprocess.run(
        ["node", "program.mjs"], cwd=folder, env={**os.environ, "DSN": gateway.dsn}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    events = payloads(gateway, broker, settings, 2)
    assert {event.get("message") for event in events} == {None, "large"}
    [error] = [event for event in events if event.get("message") is None]
    assert error["exception"]["values"][0]["type"] == "TypeError"
    assert error["release"] == "shop@1"
