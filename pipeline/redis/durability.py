"""Checks whether a Redis keeps what it acknowledges: what it evicts, how it writes to disk, and what a failover would lose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.cluster import RedisCluster
from redis.exceptions import ResponseError

from pipeline.redis.client import Client, reaching_redis


@dataclass(frozen=True, slots=True)
class Durability:
    """What one server reports about itself. `appendfsync` and `min_replicas` are None if CONFIG GET is not allowed.

    `run_id` changes when the server is restarted; `evicted_keys` counts from then on. `node` is empty outside of a cluster.
    """

    node: str
    run_id: str
    is_replica: bool
    maxmemory_policy: str
    evicted_keys: int
    has_appendonly: bool
    appendfsync: str | None
    replicas: int
    min_replicas: int | None
    clock: float = 0.0
    """The server's clock when it answered, in epoch seconds. 0 if it did not tell."""

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each reason why this server may lose what it has acknowledged."""
        where = f"{self.node}: " if self.node else ""
        if self.is_replica:
            yield f"{where}this is a replica; connect to the primary"
        if self.maxmemory_policy != "noeviction":
            yield f"{where}maxmemory-policy is {self.maxmemory_policy}: a full Redis deletes counters; set it to noeviction"
        if not self.has_appendonly:
            yield f"{where}appendonly is no: a restart loses counts; set it to yes"
        elif self.appendfsync not in {"always", None}:
            yield f"{where}appendfsync is {self.appendfsync}: a crash loses the last writes; set it to always"

    def remarks(self) -> Iterator[str]:
        """Yield a sentence for each thing that is worth knowing but no fault."""
        where = f"{self.node}: " if self.node else ""
        if self.evicted_keys:
            yield f"{where}{self.evicted_keys} keys were evicted since the server started: counts are too low by what they held"
        if self.has_appendonly and self.appendfsync is None:
            yield f"{where}appendfsync cannot be read, because CONFIG GET is not allowed; it should be always"
        if self.replicas and not self.min_replicas:
            yield (
                f"{where}{self.replicas} replicas are not waited for: a failover loses what they have not received; "
                "min-replicas-to-write and min-replicas-max-lag limit that"
            )


def read_durability(client: Client) -> list[Durability]:
    """Ask the server, or each primary of a cluster, with two commands. Raises RetryableError."""
    with reaching_redis():
        if isinstance(client, RedisCluster):
            nodes = [(str(node.name), client.get_redis_connection(node)) for node in cast("Any", client).get_primaries()]
        else:
            nodes = [("", client)]
        return [_read(name, node) for name, node in nodes]


def _read(name: str, node: redis.Redis) -> Durability:
    info: dict[str, Any] = node.info()
    try:
        config = cast("dict[str, Any]", node.config_get("appendfsync")) | cast(
            "dict[str, Any]", node.config_get("min-*-to-write")
        )
    except ResponseError:  # renamed or forbidden, as hosted servers do
        config = {}
    min_replicas = config.get("min-replicas-to-write", config.get("min-slaves-to-write"))
    return Durability(
        node=name,
        run_id=str(info.get("run_id", "")),
        is_replica=info.get("role") == "slave",
        maxmemory_policy=str(info.get("maxmemory_policy", "noeviction")),
        evicted_keys=int(info.get("evicted_keys", 0)),
        has_appendonly=bool(info.get("aof_enabled")),
        appendfsync=config.get("appendfsync"),
        replicas=int(info.get("connected_slaves", 0)),
        min_replicas=None if min_replicas is None else int(min_replicas),
        clock=int(info.get("server_time_usec", 0)) / 1e6,
    )
