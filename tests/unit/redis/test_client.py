"""Which errors mean that Redis is away; the texts are those of versions 6.2 and 7."""

from __future__ import annotations

import pytest
import redis
from redis._parsers.base import BaseParser
from redis.exceptions import RedisClusterException, RedisError, SlotNotCoveredError

from pipeline.model.errors import RetryableError
from pipeline.redis.client import reaching_redis

WRAPPED = "ERR Error running script (call to f_0a9f75e9): @user_script:1: "


def said(text: str) -> RedisError:
    """Return the client's exception for an answer of the server."""
    return BaseParser.parse_error(text)  # type: ignore[no-any-return,no-untyped-call,unused-ignore]


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection refused"),
        redis.TimeoutError("Timeout reading from socket"),
        OSError("No route to host"),
        RedisClusterException("no node answers"),
        SlotNotCoveredError("slot 5 is not covered"),
        said("LOADING Redis is loading the dataset in memory"),
        said("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
        said("OOM command not allowed when used memory > 'maxmemory'."),
        said("OOM command not allowed when used memory > 'maxmemory'. script: c9de48fe, on @user_script:1."),
        said(WRAPPED + "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."),
        said(WRAPPED + "@user_script: 1: -READONLY You can't write against a read only replica."),
        said(WRAPPED + "@user_script: 1: -MISCONF Redis is configured to save RDB snapshots"),
        said("READONLY You can't write against a read only replica."),
        said("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."),
        said("NOREPLICAS Not enough good replicas to write."),
        said("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        said("CLUSTERDOWN The cluster is down"),
        said("TRYAGAIN Multiple keys request during rehashing of slot"),
        said("MOVED 3999 127.0.0.1:6381"),
        said("NOSCRIPT No matching script."),
        said("ERR max number of clients reached"),
        said("ERR DB index is out of range"),
        said("NOPERM this user has no permissions to run the 'evalsha' command"),
        said(WRAPPED + "Script killed by user with SCRIPT KILL..."),
        said(WRAPPED + "FOREIGN quota:a holds no number"),
        said("ERR FOREIGN quota:a holds no number script: c9de48fe, on @user_script:1."),
    ],
    ids=str,
)
def test_away(error: Exception) -> None:
    with pytest.raises(RetryableError, match=r"^redis: \w+: "), reaching_redis():
        raise error


@pytest.mark.parametrize(
    "error",
    [
        said("ERR wrong number of arguments for 'get' command"),
        said(WRAPPED + "user_script:1: Script attempted to access nonexistent global variable 'nosuch'"),
        said(WRAPPED + "user_script:9: attempt to index a nil value, not an OOM at all"),
        said(WRAPPED + "WRONGTYPE Operation against a key holding the wrong kind of value"),
        said("WRONGTYPE Operation against a key holding the wrong kind of value script: c9de48fe, on @user_script:1."),
        said("CROSSSLOT Keys in request don't hash to the same slot"),
        redis.DataError("Invalid input of type: 'dict'"),
    ],
    ids=str,
)
def test_the_call_itself_is_wrong(error: RedisError) -> None:
    with pytest.raises(type(error)) as raised, reaching_redis():
        raise error
    assert raised.value is error


OOM = "Redis has used up its memory (maxmemory) and takes no writes; give it more, or find out what fills it"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'. script: c9de48fe, on @user_script:1.", f"OOM: {OOM}"),
        (WRAPPED + "@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.", f"OOM: {OOM}"),
        (WRAPPED + "FOREIGN quota:a holds no number", "FOREIGN: quota:a holds no number"),
        ("ERR FOREIGN quota:a holds no number script: c9de48fe, on @user_script:1.", "FOREIGN: quota:a holds no number"),
        (
            "READONLY You can't write against a read only replica.",
            "READONLY: this Redis is a read-only replica; connect to the primary",
        ),
        ("NOPERM User default has no permissions", "NOPERM: the Redis user lacks a right (User default has no permissions)"),
        ("ERR max number of clients reached", "ConnectionError: max number of clients reached"),
    ],
)
def test_it_is_said_in_a_sentence_without_lua(answer: str, sentence: str) -> None:
    with pytest.raises(RetryableError) as raised, reaching_redis():
        raise said(answer)
    assert str(raised.value) == f"redis: {sentence}"


@pytest.mark.parametrize(
    "code", ["OOM", "BUSY", "LOADING", "MISCONF", "CLUSTERDOWN", "NOREPLICAS", "MASTERDOWN", "Script killed"]
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_no_sentence_speaks_of_a_script_s_lines(code: str, wrapped: bool) -> None:
    answer = WRAPPED + f"@user_script: 7: -{code} some words" if wrapped else f"{code} some words script: 0a, on @user_script:7."
    with pytest.raises(RetryableError) as raised, reaching_redis():
        raise said(answer)
    assert "user_script" not in str(raised.value)
