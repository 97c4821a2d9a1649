"""What strangers send to the gateway: a right answer each, within bounds of memory and time. The broker is away all along."""

from __future__ import annotations

import base64
import gzip
import json
import random
import resource
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
from backports import zstd
from support.gateway_process import KEY, GatewayProcess

from pipeline.settings.schema import KafkaSettings, Settings

ENVELOPE = f"/api/42/envelope/?sentry_key={KEY}"
STORE = f"/api/42/store/?sentry_key={KEY}"
OTLP = f"/api/42/integration/otlp/v1/logs?sentry_key={KEY}"
NEL = f"/api/42/nel/?sentry_key={KEY}"
HEADER = b'{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}\n'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(
        tmp_path, Settings(kafka=KafkaSettings(brokers="127.0.0.1:1")), "header_timeout_s = 2", "body_timeout_s = 2"
    )
    gateway.start()
    yield gateway
    gateway.close()


def memory_mb(gateway: GatewayProcess) -> float:
    """Return the most memory that the gateway ever had."""
    lines = Path(f"/proc/{gateway.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


def hostile(chance: random.Random) -> tuple[str, bytes, dict[str, str]]:
    """Make a request that no honest client sends."""
    body = HEADER + b'{"type":"event"}\n{"message":"' + chance.randbytes(chance.choice((0, 10, 3_000))).hex().encode() + b'"}\n'
    headers: dict[str, str] = {}
    for _ in range(chance.randint(1, 3)):
        match chance.randrange(10):
            case 0:
                body = body[: chance.randint(0, len(body))]
            case 1:
                body += body
            case 2:
                body = HEADER + b'{"type":"event","length":%d}\n' % chance.choice((-1, 2**63, 10**30, 5)) + body
            case 3:
                body = HEADER + b'{"type":' + b"[" * chance.choice((10, 100_000)) + body
            case 4:
                name = chance.choice(("gzip", "br", "zstd", "deflate", "compress", "gzip, br", ", ,", "UTF-8"))
                headers["content_encoding"] = name
            case 5:
                packed = chance.choice((gzip.compress, brotli.compress, zstd.compress, zlib.compress))(body)
                body = packed if chance.random() < 0.5 else packed[:-3]
            case 6:
                body = bytes(byte if chance.random() < 0.95 else chance.randrange(256) for byte in body[:2_000])
            case 7:
                body = HEADER + b"".join(b'{"type":"attachment","length":0}\n\n' for _ in range(chance.choice((30, 31, 600))))
            case 8:
                headers["content_type"] = chance.choice(("application/json", "application/x-protobuf", "text/plain"))
                body = chance.choice(
                    (b"\x0a\x00" * 50_000, b'{"resourceLogs":' + b"[{}," * 30_000, chance.randbytes(2_000), body)
                )
            case _:
                headers["x_sentry_auth"] = chance.choice(("Sentry", "Sentry sentry_key=x", "\xe9", "Sentry sentry_key=" + KEY))
    path = chance.choice(
        (ENVELOPE, STORE, OTLP, NEL, "/api/42/envelope/", "/api//42//store", "/api/-1/envelope/", f"{ENVELOPE}&sentry_version=9")
    )
    return path, base64.b64encode(body) if chance.random() < 0.1 else body, headers


def test_ten_thousand_hostile_requests_are_answered(gateway: GatewayProcess) -> None:
    answered: list[int] = []

    def send(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(2_500):
            path, body, headers = hostile(chance)
            status, _, answer = gateway.send(path, body, **headers)
            answered.append(status)
            assert status == 200 or "detail" in json.loads(answer)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        started = time.monotonic()
        assert gateway.send(STORE, b'{"message":"a neighbour"}')[0] == 200
        waits.append(time.monotonic() - started)
        time.sleep(0.05)
    assert len(answered) == 10_000
    assert set(answered) <= {200, 400, 401, 404, 413, 415}
    assert memory_mb(gateway) < 250
    assert sorted(waits)[len(waits) // 2] < 0.5
    assert "could not be answered" not in gateway.log()


def test_eight_bombs_of_two_gigabytes(gateway: GatewayProcess) -> None:
    bomb = gzip.compress(HEADER + b'{"type":"attachment"}\n') + gzip.compress(bytes(1 << 20)) * 2_048
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(gateway.send(ENVELOPE, bomb, content_encoding="gzip")[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in threads):
        started = time.monotonic()
        assert gateway.send(STORE, b'{"message":"a neighbour"}')[0] == 200
        waits.append(time.monotonic() - started)
        time.sleep(0.05)
    assert statuses == [413] * 8
    assert memory_mb(gateway) < 200
    assert sorted(waits)[len(waits) // 2] < 0.5


def test_large_bodies_go_to_the_disk(gateway: GatewayProcess) -> None:
    body = HEADER + b'{"type":"attachment","length":60000000}\n' + bytes(60_000_000)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(gateway.send(ENVELOPE, body)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert memory_mb(gateway) < 200
    assert gateway.send(ENVELOPE, b"", content_length="300000000")[0] == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /api/42/sto",
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{" % STORE.encode(),
        b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{" % STORE.encode(),
    ],
)
def test_who_sends_nothing_more_is_cut(gateway: GatewayProcess, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=6) as connection:
        connection.sendall(sent)
        answer = connection.recv(1_000)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


def test_a_flood_of_headers_is_refused(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=6) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n")
        flood = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1_000) for number in range(20_000))
        with pytest.raises(OSError, match=r"reset|pipe|imed out"):
            connection.sendall(flood)
    assert memory_mb(gateway) < 150


def test_idle_connections_hinder_nobody(gateway: GatewayProcess) -> None:
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(900)]
    started = time.monotonic()
    assert gateway.send(STORE, b'{"message":"a neighbour"}')[0] == 200
    assert time.monotonic() - started < 1.5
    assert memory_mb(gateway) < 150
    for connection in idle:
        connection.close()


def test_what_the_disk_does_not_take_is_503_without_retry_after(gateway: GatewayProcess) -> None:
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    event = b'{"message":"%b"}' % (b"m" * 300_000)
    status, headers, answer = gateway.send(STORE, event)
    assert (status, "retry-after" in headers) == (503, False)
    assert json.loads(answer)["detail"] == "events cannot be stored at the moment"
    assert gateway.send(STORE, b'{"message":"small"}')[0] == 200
    assert gateway.send(ENVELOPE, HEADER + b'{"type":"attachment","length":3000000}\n' + bytes(3_000_000))[0] == 503
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert gateway.send(STORE, event)[0] == 200
    assert gateway.page("/ready")[0] == 200


def test_a_port_or_a_spool_that_is_taken_is_said_in_a_line(gateway: GatewayProcess) -> None:
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "gateway",
        "--settings",
        str(gateway.folder / "settings.toml"),
        "--rules",
        str(gateway.rules),
    ]
    for more, said in (
        (("--spool", str(gateway.folder / "other")), "gateway.listen"),
        (("--listen", "127.0.0.1:1"), "gateway.spool"),
    ):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].startswith(f"settings: {said}: ")


EVENT = HEADER + b'{"type":"event"}\n{"message":"a part of a longer text'
WHOLE = EVENT + b'"}\n'


def chunked(body: bytes, *, end: bytes = b"0\r\n\r\n", more: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%b\r\n" % (ENVELOPE.encode(), more)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:20], body[20:])) + end


def declared(body: bytes, length: int) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (ENVELOPE.encode(), length) + body


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        (chunked(WHOLE), True),
        (chunked(WHOLE, end=b"0\r\nX-Sum: 1\r\n\r\n", more=b"Trailer: X-Sum\r\n"), True),
        (declared(WHOLE, len(WHOLE)), True),
        (chunked(EVENT, end=b""), False),
        (chunked(EVENT, end=b"5\r\nab"), False),
        (chunked(EVENT, end=b"no number\r\n"), False),
        (declared(EVENT, len(WHOLE)), False),
        (declared(EVENT, 200_000), False),
    ],
)
def test_a_body_that_is_cut_off_is_not_taken_for_a_whole_one(gateway: GatewayProcess, sent: bytes, is_taken: bool) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=6) as connection:
        connection.sendall(sent)
        if not is_taken:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(1_000)
    assert answer.startswith(b"HTTP/1.1 200") == is_taken
    assert gateway.metric("pipeline_gateway_accepted_total") == is_taken
    assert "could not be answered" not in gateway.log()
