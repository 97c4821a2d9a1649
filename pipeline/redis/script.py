"""Run a Lua script on Redis: one call on a single server, one pipeline with a call per organization on a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError

from pipeline.redis.client import Client, reaching_redis

ScriptCall = tuple[str, Sequence[bytes]]
"""The one key of a call, which decides the server of a cluster that runs it, and the call's arguments."""


class RedisScript:
    """One Lua script, called by the SHA-1 of its text.

    The script is not loaded ahead of time. A call is an EVALSHA. If the server answers NOSCRIPT (on its first call, after a
    restart or SCRIPT FLUSH, on a new node), the same call is made again as an EVAL with the text, which also loads it.
    """

    def __init__(self, client: Client, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, calls: Sequence[ScriptCall]) -> list[bytes]:
        """Return the replies to all calls, in their order.

        A single server is called once for each call; a cluster is sent all calls in one pipeline.
        Raises RetryableError if Redis cannot answer. Calls that have arrived keep their effect.
        """
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
