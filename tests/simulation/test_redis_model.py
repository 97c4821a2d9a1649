"""The model of Redis gives the answers of a real server, script call by script call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis
from simulation.redis_model import ModelClient, ModelRedis
from support.quota_histories import live

from pipeline.quotas.redis_ledger import RedisLedger
from pipeline.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.redis
HISTORIES = 40


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    with EmbeddedRedis() as embedded:
        client = redis.Redis.from_url(embedded.url)
        yield client
        client.close()


class Both:
    """A client that makes each call on the server and on the model, and compares the answers."""

    def __init__(self, server: redis.Redis, model: ModelClient) -> None:
        self._server: Any = server
        self._model = model
        self.calls = 0

    def evalsha(self, *arguments: Any) -> Any:
        try:
            answer = self._server.evalsha(*arguments)
        except redis.exceptions.NoScriptError:
            with pytest.raises(redis.exceptions.NoScriptError):
                self._model.evalsha(*arguments)
            raise
        return self._same(answer, self._model.evalsha(*arguments))

    def eval(self, *arguments: Any) -> Any:
        return self._same(self._server.eval(*arguments), self._model.eval(*arguments))

    def _same(self, answer: Any, modelled: Any) -> Any:
        self.calls += 1
        assert modelled == answer, f"call {self.calls}"
        return answer


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_random_calls_have_equal_answers_and_leave_equal_data(server: redis.Redis, seed: int) -> None:
    server.flushall()
    server.script_flush()
    model = ModelRedis(time.time)
    both: Any = Both(server, ModelClient(model))
    new_worker = partial(RedisLedger, both, remember_s=5.0 * (seed % 2), duplicates=seed % 3 != 0)
    live(seed, new_worker, rules_change=seed % 2 == 0, replays=seed % 4 == 0, regroups=seed % 4 == 1, late_deaths=seed % 3 == 1)
    assert both.calls > 1
    assert _data(model) == _server_data(server)


def _data(model: ModelRedis) -> dict[bytes, Any]:
    return {key: value for key, value in model.data.items() if not key.startswith(b"users:")}


def _server_data(server: Any) -> dict[bytes, Any]:
    read = {b"string": server.get, b"hash": server.hgetall, b"set": server.smembers}
    return {key: read[server.type(key)](key) for key in server.keys("*") if not key.startswith(b"users:")}


@pytest.mark.parametrize(
    "command",
    [
        ["SET", "k", "v", "EX", "100"],
        ["SET", "n", 4503599627370496],
        ["INCRBY", "n", -3],
        ["HSET", "h", "debt", 0.5, "at", 7],
        ["HINCRBY", "h", "at", 2],
        ["HDEL", "h", "debt", "none"],
        ["SADD", "s", "a", "b", "a"],
        ["GET", "none"],
        ["MGET", "k", "none", "h"],
        ["EXISTS", "k", "none"],
        ["EXPIREAT", "k", 1],
        ["GET", "h"],
        ["HGET", "k", "f"],
        ["DEL", "k", "none"],
    ],
    ids=lambda command: " ".join(map(str, command)),
)
def test_a_command_in_a_script_has_the_same_answer(server: redis.Redis, command: list[Any]) -> None:
    """Types, nil, numbers and errors come out the same. The answer is packed, so that nothing is converted on the way."""
    before = ["redis.call('SET', 'n', 5)", "redis.call('HSET', 'h', 'at', 1, 'debt', 2)"]
    words = ", ".join(repr(word) if isinstance(word, str) else str(word) for word in command)
    text = "\n".join(
        [*before, f"local answer = redis.pcall({words})", "if type(answer) == 'table' and answer.err then return 'error' end"]
        + (["redis.call('SET', 'k', 'v')"] if command[0] == "DEL" else [])
        + ["return cmsgpack.pack(answer)"]
    )
    server.flushall()
    model: Any = ModelClient(ModelRedis(time.time))
    client: Any = server
    assert model.eval(text, 1, "k") == client.eval(text, 1, "k")


@pytest.mark.parametrize(
    "value",
    [
        *map(str, [0, -1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, -32, -33, -128, -129, -32768, -32769, -(2**31)]),
        *map(str, [-(2**31) - 1, 2**53, -(2**53), 1.5, 0.1, 1e300]),
        *["'text'", "{}", "true", "false", "{a=1}", "{1,{2,'a'}}"],
        *(f"string.rep('x', {size})" for size in (31, 32, 256, 65_536)),
        "{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}",
    ],
)
def test_values_are_packed_as_redis_packs_them(server: redis.Redis, value: str) -> None:
    text = f"local packed = cmsgpack.pack({value})\nreturn packed .. cmsgpack.pack(cmsgpack.unpack(packed))"
    model: Any = ModelClient(ModelRedis(time.time))
    client: Any = server
    assert model.eval(text, 1, "k") == client.eval(text, 1, "k")


@pytest.mark.parametrize(
    "text", ["struct.pack('<I4I4', 7, 4294967295)", "struct.pack('<d', 0.1)", "struct.unpack('<d', struct.pack('<d', 2.5))"]
)
def test_structs_are_those_of_redis(server: redis.Redis, text: str) -> None:
    model: Any = ModelClient(ModelRedis(time.time))
    client: Any = server
    script = f"local value = {text}\nreturn cmsgpack.pack(value)"
    assert model.eval(script, 1, "k") == client.eval(script, 1, "k")
