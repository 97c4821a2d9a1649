"""How many requests a second the gateway makes durable, and how quickly.

    scripts/bench gateway                   64 and 1,024 connections, 10 s each
    scripts/bench gateway --seconds 60

The broker is away, so that the way from a request to its 200 is measured alone. The client runs on the same cores.
Good: 5,000 requests of 5 kB a second on two cores, p99 below 50 ms at 64 connections.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

from support.gateway_process import KEY, GatewayProcess

from pipeline.settings.schema import KafkaSettings, Settings

BODY = b'{}\n{"type":"event"}\n{"message":"%b"}\n' % (b"m" * 5_000)
REQUEST = b"POST /api/42/envelope/?sentry_key=%b HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%b" % (
    KEY.encode(),
    len(BODY),
    BODY,
)


async def send(port: int, until: float, waited: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))
        waited.append(time.perf_counter() - started)
    writer.close()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))


async def send_from_all(port: int, connections: int, seconds: float) -> list[float]:
    waited: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(send(port, until, waited) for _ in range(connections)))
    return sorted(waited)


def measure(connections: int, seconds: float) -> None:
    gateway = GatewayProcess(Path(tempfile.mkdtemp()), Settings(kafka=KafkaSettings(brokers="127.0.0.1:1")))
    gateway.start()
    try:
        before = cpu_s(gateway.pid)
        waited = asyncio.run(send_from_all(gateway.port, connections, seconds))
        spent = cpu_s(gateway.pid) - before
        p50, p99 = waited[len(waited) // 2] * 1e3, waited[int(len(waited) * 0.99)] * 1e3
        print(
            f"{connections:5} connections: {len(waited) / seconds:6,.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
            f"{spent / len(waited) * 1e6:.0f} us of CPU a request, {peak_mb(gateway.pid):.0f} MB at most"
        )
    finally:
        gateway.close()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    for connections in (64, 1_024):
        measure(connections, arguments.seconds)


if __name__ == "__main__":
    main()
