"""Redis in this process: its data as Python values, and its scripts run by a Lua interpreter, so that a call costs microseconds.

It knows the commands that the ledger uses, and the faults of a server: one that is full, evicts keys, is restarted without its
last writes, or fails over to an older copy. `test_redis_model.py` holds it against a real server.
"""

from __future__ import annotations

import fnmatch
import hashlib
import struct
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lupa import lua51
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

LIBRARIES = Path(__file__).with_name("redis_libraries.lua").read_text()
COPIES = 12
"""So many of the last writes can be lost."""
NEEDS_MEMORY = frozenset({"SET", "INCRBY", "HSET", "HINCRBY", "SADD", "PFADD"})

OK = b"OK"
Value = bytes | dict[bytes, bytes] | set[bytes]
Copy = tuple[dict[bytes, Value], dict[bytes, float]]


class ModelRedis:
    """A server. `clock` returns the time in epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.data: dict[bytes, Value] = {}
        self.expires: dict[bytes, float] = {}
        self.run_id, self.evicted_keys, self.is_full = 1, 0, False
        self._copies: deque[Copy] = deque(maxlen=COPIES)
        self._scripts: dict[str, Any] = {}
        self._compiled: dict[str, Any] = {}
        self._has_written = False
        self._lua = _interpreter(self)

    def reset(self, clock: Callable[[], float]) -> None:
        """Begin anew with another clock, but keep the interpreter and its compiled scripts."""
        self._clock = clock
        self.flush()
        self.flush_scripts()
        self._copies.clear()
        self.run_id, self.evicted_keys, self.is_full = 1, 0, False

    # Faults ------------------------------------------------------------------------------------------------------------

    def keep_copies(self) -> None:
        """Remember the state as it is now, so that later writes can be lost."""
        self._copies.append(self.copy())

    def copy(self) -> Copy:
        """Return the data as they are now."""
        return {key: value if isinstance(value, bytes) else value.copy() for key, value in self.data.items()}, dict(self.expires)

    def lose_last(self, writes: int) -> None:
        """Restart without the last writes, or fail over to a copy that has not received them."""
        for _ in range(min(writes, len(self._copies))):
            self.data, self.expires = self._copies.pop()
        self.run_id += 1
        self.flush_scripts()

    def flush(self) -> None:
        """FLUSHALL."""
        self.data, self.expires = {}, {}

    def flush_scripts(self) -> None:
        """SCRIPT FLUSH."""
        self._scripts.clear()

    def evict(self, chosen: list[bytes]) -> None:
        """Delete keys as a full server does."""
        for key in chosen:
            self.evicted_keys += self.delete(key)

    # Scripts -----------------------------------------------------------------------------------------------------------

    def evalsha(self, sha: str, _: int, key: str, *arguments: bytes) -> Any:
        """Run a script that is known. Raises NoScriptError."""
        if sha not in self._scripts:
            raise NoScriptError("No matching script.")
        lua = self._lua.globals()
        lua[b"KEYS"] = self._lua.table_from([key.encode()])
        lua[b"ARGV"] = self._lua.table_from(arguments)
        self._has_written = False
        try:
            return self._scripts[sha]()
        except lua51.LuaError as error:
            raise ResponseError(str(error)) from None

    def eval(self, text: str, keys: int, key: str, *arguments: bytes) -> Any:
        """Run a script by its text."""
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        if sha not in self._compiled:
            self._compiled[sha] = self._lua.compile(text.encode())
        self._scripts[sha] = self._compiled[sha]
        return self.evalsha(sha, keys, key, *arguments)

    def call(self, name: bytes, *arguments: Any) -> Any:
        """Run a command for a script: nil is false, a list is a table."""
        command = name.decode()
        if self.is_full and command in NEEDS_MEMORY and not self._has_written:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        if command not in READING:
            self._has_written = True
        answer = COMMANDS[command](self, *map(_text, arguments))
        if isinstance(answer, list):
            return self._lua.table_from([False if each is None else each for each in answer])
        if answer is OK:
            return self._lua.table_from({b"ok": OK})
        return False if answer is None else answer

    def pcall(self, name: bytes, *arguments: Any) -> Any:
        """Run a command for a script that handles its error."""
        try:
            return self.call(name, *arguments)
        except ResponseError as error:
            return self._lua.table_from({b"err": str(error).encode()})

    # Commands ----------------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._read(key, bytes)
        return value

    def set(self, key: bytes, value: bytes, option: bytes = b"", seconds: bytes = b"") -> bytes:
        self.data[key] = value
        if option == b"EX":
            self.expires[key] = self._clock() + int(seconds)
        elif option != b"KEEPTTL":
            self.expires.pop(key, None)
        return OK

    def delete(self, *keys: bytes) -> int:
        deleted = 0
        for key in keys:
            deleted += self._find(key) is not None
            self.data.pop(key, None)
            self.expires.pop(key, None)
        return deleted

    def mget(self, *keys: bytes) -> list[bytes | None]:
        found = map(self._find, keys)
        return [value if isinstance(value, bytes) else None for value in found]

    def exists(self, *keys: bytes) -> int:
        return sum(self._find(key) is not None for key in keys)

    def expire(self, key: bytes, seconds: bytes) -> int:
        return self.expireat(key, self._clock() + int(seconds))

    def expireat(self, key: bytes, at: bytes | float) -> int:
        if self._find(key) is None:
            return 0
        self.expires[key] = float(at)
        return 1

    def incrby(self, key: bytes, by: bytes) -> int:
        value = int(self.get(key) or 0) + int(by)
        self.data[key] = b"%d" % value
        return value

    def hget(self, key: bytes, field: bytes) -> bytes | None:
        return (self._read(key, dict) or {}).get(field)

    def hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        found = self._read(key, dict) or {}
        return [found.get(field) for field in fields]

    def hset(self, key: bytes, *pairs: bytes) -> int:
        held = self._write(key, dict)
        before = len(held)
        held.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(held) - before

    def hincrby(self, key: bytes, field: bytes, by: bytes) -> int:
        held = self._write(key, dict)
        value = int(held.get(field, 0)) + int(by)
        held[field] = b"%d" % value
        return value

    def hdel(self, key: bytes, *fields: bytes) -> int:
        held = self._read(key, dict) or {}
        deleted = sum(held.pop(field, None) is not None for field in fields)
        if not held:
            self.delete(key)
        return deleted

    def hlen(self, key: bytes) -> int:
        return len(self._read(key, dict) or {})

    def hexists(self, key: bytes, field: bytes) -> int:
        return int(field in (self._read(key, dict) or {}))

    def sadd(self, key: bytes, *members: bytes) -> int:
        held = self._write(key, set)
        before = len(held)
        held.update(members)
        return len(held) - before

    def sismember(self, key: bytes, member: bytes) -> int:
        return int(member in (self._read(key, set) or ()))

    def scard(self, key: bytes) -> int:
        return len(self._read(key, set) or ())

    def time(self) -> list[bytes]:
        return [b"%d" % int(self._clock()), b"0"]

    def keys(self, pattern: str) -> list[bytes]:
        return [
            key for key in list(self.data) if self._find(key) is not None and fnmatch.fnmatchcase(key.decode("latin1"), pattern)
        ]

    def _find(self, key: bytes) -> Value | None:
        if self.expires.get(key, float("inf")) <= self._clock():
            del self.data[key], self.expires[key]
        return self.data.get(key)

    def _read(self, key: bytes, kind: type) -> Any:
        value = self._find(key)
        if value is not None and type(value) is not kind:
            raise ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def _write(self, key: bytes, kind: type) -> Any:
        value = self._read(key, kind)
        if value is None:
            value = self.data[key] = kind()
        return value


NAMES = (
    *("get", "set", "mget", "exists", "expire", "expireat", "incrby", "time"),
    *("hget", "hmget", "hset", "hincrby", "hdel", "hlen", "hexists", "sadd", "sismember", "scard"),
)
COMMANDS: dict[str, Callable[..., Any]] = {name.upper(): getattr(ModelRedis, name) for name in NAMES} | {
    "DEL": ModelRedis.delete,
    "PFADD": ModelRedis.sadd,
}
READING = frozenset({"GET", "MGET", "EXISTS", "HGET", "HMGET", "HLEN", "HEXISTS", "SISMEMBER", "SCARD", "TIME"})


class ModelClient:
    """What the ledger uses of a client, on a ModelRedis."""

    def __init__(self, server: ModelRedis) -> None:
        self.server = server
        self.evalsha, self.eval = server.evalsha, server.eval

    def ping(self) -> bool:
        return True

    def get(self, key: str | bytes) -> bytes | None:
        return self.server.get(_text(key))

    def set(self, key: str | bytes, value: Any, *, ex: int | None = None, nx: bool = False, keepttl: bool = False) -> bool | None:
        if nx and self.server.exists(_text(key)):
            return None
        option = (b"EX", b"%d" % ex) if ex is not None else (b"KEEPTTL",) if keepttl else ()
        self.server.set(_text(key), _text(value), *option)
        return True

    def unlink(self, *keys: str | bytes) -> int:
        return self.server.delete(*map(_text, keys))

    def hgetall(self, key: str | bytes) -> dict[bytes, bytes]:
        return dict(self.server._read(_text(key), dict) or {})

    def scan_iter(self, match: str, count: int = 0) -> Iterator[bytes]:  # noqa: ARG002 -- the client's
        return iter(self.server.keys(match))

    def info(self) -> dict[str, Any]:
        return {"run_id": str(self.server.run_id), "evicted_keys": self.server.evicted_keys, "aof_enabled": 1}

    def config_get(self, _: str) -> dict[str, str]:
        return {"appendfsync": "always"}


def _interpreter(server: ModelRedis) -> Any:
    lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
    lua.compile(LIBRARIES.encode())(
        lambda value, order: struct.pack(order.decode() + "d", value),
        lambda data, order: struct.unpack(order.decode() + "d", data)[0],
        _as_single,
        lambda data: struct.unpack(">f", data)[0],
    )
    lua.globals()[b"redis"] = lua.table_from({b"call": server.call, b"pcall": server.pcall})
    return lua


def _as_single(value: float) -> bytes | None:
    """Return a number in four bytes if it fits into them, as cmsgpack does."""
    try:
        packed = struct.pack(">f", value)
    except OverflowError:
        return None
    return packed if struct.unpack(">f", packed)[0] == value else None


def _text(value: Any) -> bytes:
    """Return an argument as Redis takes it: numbers as Lua writes them to it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, float) and value != int(value):
        return b"%.17g" % value
    return b"%d" % value
