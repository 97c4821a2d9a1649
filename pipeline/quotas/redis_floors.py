"""Floors: the highest committed offset of each partition that Redis knows, for `pipeline offsets`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import msgpack

from pipeline.redis.client import Client, expecting, reaching_redis

_encode = msgpack.Packer(use_bin_type=False).pack


def read_floors(client: Client, topic_id: str, prefix: str = "") -> dict[int, int]:
    """Return the highest floor of each partition over all organizations.

    This reads the names of all keys, so it is for operators only. Raises RetryableError, also for a key that does not hold a
    ledger; the message names the key.
    """
    floors: dict[int, int] = {}
    with reaching_redis():
        for key, partition in _ledgers(client, topic_id, prefix):
            with expecting("ledger", key.decode("utf-8", "replace")):
                saved = client.get(key)
                if isinstance(saved, bytes):
                    floors[partition] = max(floors.get(partition, 0), _floor(saved))
    return floors


def _floor(saved: bytes) -> int:
    """Return the floor of a ledger as it is saved. Raises ValueError for other bytes."""
    ledger = msgpack.unpackb(saved, raw=True, strict_map_key=False)
    if not isinstance(ledger, list) or not ledger or not isinstance(ledger[0], int):
        raise ValueError("not a ledger")
    return ledger[0]


def reset_floors(client: Client, topic_id: str, committed: Mapping[int, int], target: Mapping[int, int], prefix: str = "") -> int:
    """Move the floors of partitions whose offsets an operator moves, and return how many ledgers were changed.

    `committed` holds what was committed in Kafka before, `target` what is committed from now on. Decisions below `committed` are
    deleted, so that records which are read again are counted again. Decisions from there on belong to batches that were counted
    but not committed. They are kept, because otherwise these batches would be counted twice. No worker may run at the same time.
    Raises RetryableError.
    """
    changed = 0
    with reaching_redis():
        for key, partition in list(_ledgers(client, topic_id, prefix)):
            if partition not in target:
                continue
            with expecting("ledger", key.decode("utf-8", "replace")):
                saved = client.get(key)
                if not isinstance(saved, bytes):
                    continue
                _floor(saved)
            changed += 1
            _, high, _, chunks = msgpack.unpackb(saved, raw=True, strict_map_key=False)
            start = committed[partition]
            kept = [[max(int(begin), start), end, *rest] for begin, end, *rest in chunks if end > start]
            if kept:
                # Attempts that began before the newest one are refused. With 0 as the time of the newest, none is.
                client.set(key, cast("bytes", _encode([target[partition], high, 0, kept])), keepttl=True)
            else:
                client.unlink(key)
    return changed


def _ledgers(client: Client, topic_id: str, prefix: str) -> Iterator[tuple[bytes, int]]:
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix) + f"ledger:*}}{topic_id}:*"
    for key in client.scan_iter(match=pattern, count=1_000):
        partition = key.rsplit(b":", 1)[-1]
        if partition.isdigit():  # replayed dead letters have ledgers that end in `partition@...`, and no floor
            yield key, int(partition)
