"""Floors: the highest committed offset of each partition that Redis was told, for `pipeline offsets`."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack

from pipeline.redis.client import Client, reaching_redis


def read_floors(client: Client, topic_id: str, prefix: str = "") -> dict[int, int]:
    """Return the highest floor of each partition over all organizations.

    This reads the names of all keys, so it is for an operator and not for a batch. Raises RetryableError.
    """
    floors: dict[int, int] = {}
    with reaching_redis():
        for key, partition in _ledgers(client, topic_id, prefix):
            saved = client.get(key)
            if isinstance(saved, bytes):
                floor = int(msgpack.unpackb(saved, raw=True, strict_map_key=False)[0])
                floors[partition] = max(floors.get(partition, 0), floor)
    return floors


def forget_floors(client: Client, topic_id: str, partitions: set[int], prefix: str = "") -> int:
    """Delete the ledgers of partitions whose offsets an operator moves, and return how many. No worker may run meanwhile.

    Raises RetryableError.
    """
    with reaching_redis():
        doomed = [key for key, partition in _ledgers(client, topic_id, prefix) if partition in partitions]
        for key in doomed:
            client.unlink(key)
    return len(doomed)


def _ledgers(client: Client, topic_id: str, prefix: str) -> Iterator[tuple[bytes, int]]:
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + f"ledger:*}}{topic_id}:*"
    for key in client.scan_iter(match=pattern, count=1_000):
        partition = key.rsplit(b":", 1)[-1]
        if partition.isdigit():  # replayed dead letters have ledgers that end in `partition@...`, and no floor
            yield key, int(partition)
