"""The Redis of a history: the model, or a real server with the same faults."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

import msgpack
import redis
from simulation.redis_model import COPIES, ModelClient, ModelRedis


class Store(Protocol):
    """A server, as the world treats it. `prefix` is before each key."""

    prefix: str
    client: Any

    @property
    def is_full(self) -> bool: ...
    def begin(self, clock: Callable[[], float]) -> None: ...
    def info(self) -> dict[str, Any]: ...
    def keys(self) -> list[bytes]: ...
    def numbers(self) -> dict[str, int]: ...
    def ends(self) -> dict[str, int]: ...
    def keep_copies(self) -> None: ...
    def lose_last(self, writes: int) -> None: ...
    def flush(self) -> None: ...
    def flush_scripts(self) -> None: ...
    def evict(self, keys: list[bytes]) -> None: ...
    def set_full(self, is_full: bool) -> None: ...
    def hash(self, key: str) -> dict[bytes, bytes]: ...


class ModelStore:
    """Redis in this process."""

    prefix = ""

    def __init__(self) -> None:
        self._server = ModelRedis(float)
        self.client: Any = ModelClient(self._server)
        self.keep_copies, self.lose_last = self._server.keep_copies, self._server.lose_last
        self.flush, self.flush_scripts, self.evict = self._server.flush, self._server.flush_scripts, self._server.evict
        self.info = self.client.info
        self.hash = self.client.hgetall

    def begin(self, clock: Callable[[], float]) -> None:
        """Start with an empty server, but keep the interpreter, which is what takes long."""
        self._server.reset(clock)

    def keys(self) -> list[bytes]:
        return self._server.keys("*")

    def numbers(self) -> dict[str, int]:
        found = {key.decode("latin1"): self._server.data[key] for key in self.keys() if key.startswith((b"quota:", b"group:"))}
        return _numbers(found)

    def ends(self) -> dict[str, int]:
        return _ends({key: self._server.data[key] for key in self.keys() if key.startswith(b"ledger:")})

    @property
    def is_full(self) -> bool:
        return self._server.is_full

    def set_full(self, is_full: bool) -> None:
        self._server.is_full = is_full


class ServerStore:
    """A real server. It is emptied before each history."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url)
        self.client: Any = self
        self.prefix = ""
        self._copies: list[dict[bytes, tuple[bytes, int]]] = []
        self.is_full, self._evicted = False, 0
        self._runs = count(1)
        self._run = 0

    def begin(self, clock: Callable[[], float]) -> None:  # noqa: ARG002 -- the server has its own
        self._redis.flushall()
        self._redis.script_flush()
        self._copies, self.is_full, self._evicted, self._run = [], False, 0, next(self._runs)

    def evalsha(self, *arguments: Any) -> Any:
        self._check_memory()
        return self._redis.evalsha(*arguments)

    def eval(self, *arguments: Any) -> Any:
        self._check_memory()
        return self._redis.eval(*arguments)

    def set(self, *arguments: Any, **options: Any) -> Any:
        return self._redis.set(*arguments, **options)

    def _check_memory(self) -> None:
        if self.is_full:
            raise redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")

    def info(self) -> dict[str, Any]:
        return {"run_id": str(self._run), "evicted_keys": self._evicted, "aof_enabled": 1}

    def keys(self) -> list[bytes]:
        found: Any = self._redis.keys("*")
        return list(found)

    def numbers(self) -> dict[str, int]:
        found: dict[str, Any] = {}
        for key in self.keys():
            if key.startswith(b"quota:"):
                found[key.decode()] = self._redis.get(key)
            elif key.startswith(b"group:"):
                found[key.decode()] = self._redis.hgetall(key)
        return _numbers(found)

    def ends(self) -> dict[str, int]:
        return _ends({key: self._redis.get(key) for key in self.keys() if key.startswith(b"ledger:")})

    def hash(self, key: str) -> dict[bytes, bytes]:
        found: Any = self._redis.hgetall(key)
        return dict(found)

    def _dump(self) -> dict[bytes, tuple[bytes, int]]:
        client: Any = self._redis
        return {key: (client.dump(key), max(0, client.pttl(key))) for key in self.keys()}

    def keep_copies(self) -> None:
        self._copies = [*self._copies[1 - COPIES :], self._dump()]

    def lose_last(self, writes: int) -> None:
        client: Any = self._redis
        copy = self._dump()
        for _ in range(min(writes, len(self._copies))):
            copy = self._copies.pop()
        client.flushall()
        for key, (value, ttl) in copy.items():
            client.restore(key, ttl, value)
        self._run = next(self._runs)
        self.flush_scripts()

    def flush(self) -> None:
        self._redis.flushall()

    def flush_scripts(self) -> None:
        self._redis.script_flush()

    def evict(self, keys: list[bytes]) -> None:
        client: Any = self._redis
        self._evicted += client.delete(*keys) if keys else 0

    def set_full(self, is_full: bool) -> None:
        self.is_full = is_full


def _numbers(found: dict[str, Any]) -> dict[str, int]:
    """Return counters of quotas, and how often each group was seen."""
    return {key: int(value[b"seen"] if isinstance(value, dict) else value) for key, value in sorted(found.items())}


def _ends(ledgers: dict[bytes, Any]) -> dict[str, int]:
    """Return the end of the furthest call in each ledger, such as {"admit:T1:0": 7}. Those of replayed dead letters have none."""
    ends: dict[str, int] = {}
    for key, value in ledgers.items():
        kind, _, log = key.decode().removeprefix("ledger:").partition(":{1}")
        if "@" not in log:
            ends[f"{kind}:{log}"] = msgpack.unpackb(value, raw=True, strict_map_key=False)[1]
    return ends
