"""Run one of our Lua scripts on Redis: one call on a server, one pipeline with a call per organization on a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, cast

from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError

from pipeline.redis.client import Client, reaching_redis

ScriptCall = tuple[str, Sequence[bytes]]
"""A key that routes the call, and its arguments."""


class RedisScript:
    """A script by its hash; its text is sent only where the server does not know it (any more)."""

    def __init__(self, client: Client, *parts: str) -> None:
        self._client = client
        self._text = script_text(parts)
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def run(self, calls: Sequence[ScriptCall]) -> list[bytes]:
        """Make all calls, in one round trip. Raises RetryableError; a call that did arrive is not undone."""
        with reaching_redis():
            if isinstance(self._client, RedisCluster):
                return self._run_pipeline(self._client, calls)
            return [self._run_one(key, arguments) for key, arguments in calls]

    def _run_one(self, key: str, arguments: Sequence[bytes]) -> bytes:
        try:
            return cast("bytes", self._client.evalsha(self._sha, 1, key, *cast("Any", arguments)))
        except NoScriptError:
            return cast("bytes", self._client.eval(self._text, 1, key, *cast("Any", arguments)))

    def _run_pipeline(self, client: RedisCluster, calls: Sequence[ScriptCall]) -> list[bytes]:
        if len(calls) == 1:
            return [self._run_one(*calls[0])]
        pipeline: Any = cast("Any", client).pipeline()
        for key, arguments in calls:
            pipeline.execute_command("EVALSHA", self._sha, 1, key, *arguments)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        for at, reply in enumerate(replies):
            if isinstance(reply, NoScriptError):
                replies[at] = self._run_one(*calls[at])
            elif isinstance(reply, Exception):
                raise reply
        return replies


@cache
def script_text(parts: tuple[str, ...]) -> str:
    """Join the Lua files of this package into one script."""
    return "\n".join(files("pipeline.quotas").joinpath(f"{part}.lua").read_text() for part in parts)
