"""Sends events to a gateway that is killed three times on the way, and looks for each of them on the input topic."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgpack
from support.gateway_process import KEY, GatewayProcess
from support.kafka_broker import fresh_settings, read_all, shared_broker

CONNECTIONS = 32
KILLS = 3
KEPT_BYTES = 64 * 1_024
"""What a drained spool may keep."""
DRAINS_WITHIN_S = 300.0
PADDING = "m" * 1_500


class Load:
    """The events to be sent. `sent` are those that a request was begun for, `accepted` those that were answered with a 200."""

    def __init__(self, events: int, seed: int) -> None:
        rng = random.Random(seed)
        self.left = [f"{rng.getrandbits(128):032x}" for _ in range(events)]
        self.sent: set[str] = set()
        self.accepted: set[str] = set()
        self.events = events

    async def send(self, port: int) -> None:
        """Send events one after the other, and connect again whenever the gateway is gone."""
        while self.left:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            try:
                while self.left:
                    await self._send_one(self.left.pop(), reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass  # nobody knows what became of that event: it may be there once or not at all
            finally:
                writer.close()

    async def _send_one(self, event_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = f'{{"event_id":"{event_id}"}}\n{{"type":"event"}}\n{{"event_id":"{event_id}","message":"{PADDING}"}}\n'.encode()
        head = f"POST /api/42/envelope/?sentry_key={KEY} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(body)}\r\n\r\n"
        self.sent.add(event_id)
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r")[0]))
        if answer.startswith(b"http/1.1 200"):
            self.accepted.add(event_id)


async def play(load: Load, gateway: GatewayProcess) -> None:
    """Send everything, and kill the gateway now and then."""
    senders = [asyncio.create_task(load.send(gateway.port)) for _ in range(CONNECTIONS)]
    marks = [load.events * number // (KILLS + 1) for number in range(1, KILLS + 1)]
    started, shown = time.monotonic(), 0
    while not all(sender.done() for sender in senders):
        await asyncio.sleep(0.1)
        if marks and len(load.sent) >= marks[0]:
            del marks[0]
            gateway.kill()
            await asyncio.to_thread(gateway.start)
        if len(load.accepted) >= shown + load.events // 10:
            shown = len(load.accepted)
            print(f"  {shown:>9,} events accepted, {shown / (time.monotonic() - started):7,.0f} a second", flush=True)
    await asyncio.gather(*senders)


def main() -> int:
    """Return 0 if every accepted event arrived once, no other twice, and the spool is empty."""
    events, seed = int(sys.argv[1]), int(sys.argv[2])
    broker = shared_broker()
    settings = fresh_settings(broker)
    load = Load(events, seed)
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewayProcess(Path(folder), settings)
        gateway.start()
        try:
            asyncio.run(play(load, gateway))
            deadline = time.monotonic() + DRAINS_WITHIN_S
            while (spooled := _spooled(Path(folder) / "spool")) > KEPT_BYTES and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            gateway.close()
    arrived = Counter(
        msgpack.unpackb(message.value() or b"")["event_id"] for message in read_all(broker, settings.kafka.events_in)
    )
    missing = load.accepted - arrived.keys()
    twice = [event_id for event_id, times in arrived.items() if times > 1]
    unsent = arrived.keys() - load.sent
    print(f"{len(load.accepted):,} of {len(load.sent):,} accepted, {len(arrived):,} arrived; {KILLS} kills")
    print(f"{len(missing)} missing, {len(twice)} twice, {len(unsent)} that nobody sent; {spooled:,} bytes left in the spool")
    return 1 if missing or twice or unsent or spooled > KEPT_BYTES or not load.accepted else 0


def _spooled(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
