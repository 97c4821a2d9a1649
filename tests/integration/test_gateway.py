"""The gateway as a process on a real broker, with a real SDK."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import orjson
import pytest
import sentry_sdk
from support.gateway_process import KEY, GatewayProcess
from support.installation import until
from support.kafka_broker import Broker, fresh_settings, read_all

from pipeline.kafka.topics import create_topics
from pipeline.settings.schema import Settings

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(broker: Broker) -> Settings:
    return fresh_settings(broker)


@pytest.fixture
def gateway(tmp_path: Path, settings: Settings) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(tmp_path, settings)
    gateway.start()
    yield gateway
    gateway.close()


def messages(broker: Broker, settings: Settings) -> list[dict[str, Any]]:
    return [msgpack.unpackb(message.value() or b"") for message in read_all(broker, settings.kafka.events_in)]


def outcomes(broker: Broker, settings: Settings) -> list[dict[str, Any]]:
    return [orjson.loads(message.value() or b"") for message in read_all(broker, settings.kafka.outcomes)]


def shipped(gateway: GatewayProcess, number: int) -> None:
    until(lambda: gateway.metric("pipeline_gateway_shipped_total") >= number, what=gateway.log)


def test_what_an_sdk_sends_arrives(gateway: GatewayProcess, broker: Broker, settings: Settings) -> None:
    with sentry_sdk.new_scope():
        client = sentry_sdk.Client(gateway.dsn, release="shop@1.2.3", default_integrations=False)
        try:
            int("seven")
        except ValueError as error:
            event, hint = sentry_sdk.utils.event_from_exception(error, client_options=client.options)
        event_id = client.capture_event(event, hint)
        client.flush(10)
        client.close()
    shipped(gateway, 1)
    [message] = messages(broker, settings)
    payload = orjson.loads(message.pop("payload"))
    assert message == {
        "type": "event",
        "event_id": event_id,
        "project_id": 42,
        "start_time": message["start_time"],
        "sent_at": message["sent_at"],
        "remote_addr": "127.0.0.1",
        "attachments": [],
        "key_id": 5,
    }
    assert abs(message["start_time"] - time.time()) < 60
    assert payload["event_id"] == event_id
    assert payload["release"] == "shop@1.2.3"
    assert payload["exception"]["values"][0]["type"] == "ValueError"
    [record] = read_all(broker, settings.kafka.events_in)
    assert record.key() == bytes.fromhex(event_id or "")


def test_each_thing_in_an_envelope_ends_somewhere(gateway: GatewayProcess, broker: Broker, settings: Settings) -> None:
    discarded = {"timestamp": 1, "discarded_events": [{"reason": "sample_rate", "category": "error", "quantity": 3}]}
    status, _, body = gateway.envelope(
        ({"type": "event"}, b'{"message":"hello"}'),
        ({"type": "attachment"}, b"x" * 3_000_000),
        ({"type": "session"}, b"{}"),
        ({"type": "client_report"}, json.dumps(discarded).encode()),
    )
    event_id = json.loads(body)["id"]
    assert status == 200
    report = b'{"csp-report":{"effective-directive":"img-src","blocked-uri":"https://evil.example/a.gif"}}'
    security = f"/api/42/security/?sentry_key={KEY}&sentry_release=shop@1"
    assert gateway.send(security, report, content_type="application/csp-report")[::2] == (200, b"")
    assert gateway.send("/api/42/minidump/?sentry_key=" + KEY, b"MDMP")[2].decode() != ""
    assert gateway.send(f"/api/42/cron/nightly/{KEY}/", b"", "GET")[0] == 202
    assert gateway.envelope(({"type": "event"}, b"{}"), ({"type": "event"}, b"{}"))[0] == 413
    assert gateway.send("/api/42/envelope/?sentry_key=" + "b" * 32, b"{}")[0] == 403
    shipped(gateway, 5)
    arrived = {message["event_id"]: message["payload"] for message in messages(broker, settings)}
    assert len(arrived) == 2
    assert arrived.pop(event_id) == b'{"message":"hello"}'
    [blocked] = map(orjson.loads, arrived.values())
    assert (blocked["logentry"]["formatted"], blocked["release"]) == ("Blocked 'image' from 'evil.example'", "shop@1")
    found = sorted(
        (
            outcome["category"],
            outcome["outcome"],
            outcome["reason"],
            outcome["quantity"],
            outcome["key_id"],
            outcome["project_id"],
        )
        for outcome in outcomes(broker, settings)
    )
    assert found == [
        (1, 3, "project_id", 1, None, 42),
        (1, 3, "too_large:event", 1, 5, 42),
        (1, 3, "unsupported", 1, 5, 42),
        (1, 5, "sample_rate", 3, 5, 42),
        (4, 3, "unsupported", 3_000_000, 5, 42),
        (5, 3, "unsupported", 1, 5, 42),
        (10, 3, "unsupported", 1, 5, 42),
    ]


def test_it_accepts_while_the_broker_is_away(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    settings = fresh_settings(broker)
    broker.stop()
    (tmp_path / "gateway").mkdir()
    gateway = GatewayProcess(tmp_path / "gateway", settings)
    try:
        gateway.start()
        for number in range(20):
            assert gateway.envelope(({"type": "event"}, b'{"message":"%d"}' % number))[0] == 200
        assert gateway.stop() == 0
        gateway.start()
        assert gateway.envelope(({"type": "event"}, b'{"message":"20"}'))[0] == 200
        broker.start()
        create_topics(settings, 1)
        shipped(gateway, 21)
        texts = sorted(int(orjson.loads(message["payload"])["message"]) for message in messages(broker, settings))
        assert texts == list(range(21))
    finally:
        gateway.close()
        broker.stop()


class Senders:
    """Clients that send numbered events over kept connections, and remember which were answered with 200."""

    def __init__(self, gateway: GatewayProcess, number: int) -> None:
        self._gateway = gateway
        self._stopping = threading.Event()
        self.acknowledged: list[str] = []
        self._threads = [threading.Thread(target=self._send) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while not self._stopping.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=10)
            with contextlib.suppress(OSError, http.client.HTTPException):
                while not self._stopping.is_set():
                    event_id = uuid.uuid4().hex
                    body = b'{"event_id":"%b"}\n{"type":"event"}\n{"message":"%b"}\n' % (event_id.encode(), b"m" * 2_000)
                    connection.request("POST", f"/api/42/envelope/?sentry_key={KEY}", body)
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 200:
                        self.acknowledged.append(event_id)
            connection.close()
            time.sleep(0.01)


def test_what_was_answered_with_200_is_in_the_topic_once_after_six_kills(
    gateway: GatewayProcess, broker: Broker, settings: Settings
) -> None:
    senders = Senders(gateway, 8)
    for round_ in range(6):
        time.sleep(0.7 + 0.13 * round_)
        gateway.kill()
        gateway.start()
    time.sleep(1)
    senders.stop()
    assert len(senders.acknowledged) > 500

    def seen() -> list[str]:
        return [message["event_id"] for message in messages(broker, settings)]

    until(lambda: len(set(senders.acknowledged) - set(seen())) == 0, within_s=90, what=gateway.log)
    found = seen()
    assert len(found) == len(set(found))


def test_it_ends_in_time_with_connections_open(gateway: GatewayProcess) -> None:
    connections = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10) for _ in range(20)]
    for connection in connections:
        connection.request("POST", f"/api/42/store/?sentry_key={KEY}", b'{"message":"x"}')
        assert connection.getresponse().read()
    half = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    half.putrequest("POST", f"/api/42/store/?sentry_key={KEY}")
    half.putheader("Content-Length", "100")
    half.endheaders(b'{"mess')
    assert gateway.stop() == 0
    for connection in (*connections, half):
        connection.close()


def test_a_drained_spool_is_small(gateway: GatewayProcess) -> None:
    for _ in range(30):
        gateway.envelope(({"type": "event"}, b'{"message":"%b"}' % (b"x" * 10_000)))
    shipped(gateway, 30)

    def size() -> int:
        return sum(file.stat().st_size for file in (gateway.folder / "spool").iterdir())

    is_small: Callable[[], bool] = lambda: size() <= 65_536  # noqa: E731 -- asked again and again
    until(is_small, within_s=10)


def test_a_broker_that_is_killed_under_load_costs_nothing(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    settings = fresh_settings(broker, partitions=2)
    (tmp_path / "gateway").mkdir()
    gateway = GatewayProcess(tmp_path / "gateway", settings)
    try:
        gateway.start()
        senders = Senders(gateway, 4)
        time.sleep(2)
        broker.kill()
        time.sleep(4)
        during = len(senders.acknowledged)
        time.sleep(2)
        assert len(senders.acknowledged) > during
        gateway.kill()
        gateway.start()
        time.sleep(1)
        broker.start()
        time.sleep(2)
        senders.stop()

        def seen() -> list[str]:
            return [message["event_id"] for message in messages(broker, settings)]

        until(lambda: len(set(senders.acknowledged) - set(seen())) == 0, within_s=120, what=gateway.log)
        found = seen()
        assert len(found) == len(set(found))
    finally:
        gateway.close()
        broker.stop()
