from __future__ import annotations

import pytest

from pipeline.kafka.start import Break, Start, encode_log_name, find_start, parse_log_name


@pytest.mark.parametrize("name", ["a", "a~2"])
def test_a_mark_is_read_back(name: str) -> None:
    assert parse_log_name(encode_log_name(name)) == name


@pytest.mark.parametrize("metadata", [None, "", "somebody else's", "log=", "log=a b", "log=a tries=x"])
def test_what_others_wrote_is_no_mark(metadata: str | None) -> None:
    assert parse_log_name(metadata) is None


@pytest.mark.parametrize(
    ("committed", "log_name", "first", "end", "start"),
    [
        pytest.param(None, None, 3, 9, Start(3, "t"), id="nothing committed"),
        pytest.param(5, "t", 3, 9, Start(5, "t"), id="goes on"),
        pytest.param(9, "t", 3, 9, Start(9, "t"), id="at the end"),
        pytest.param(5, None, 3, 9, Start(5, "t"), id="a commit of an older version"),
        pytest.param(1, "t", 3, 9, Start(1, "t", Break.RETENTION, lost=2), id="records deleted by retention"),
        pytest.param(5, "old", 0, 9, Start(0, "t", Break.RECREATED, seek_to=0), id="another topic, longer"),
        pytest.param(40, "old", 0, 25, Start(0, "t", Break.RECREATED, seek_to=0), id="another topic, shorter"),
        pytest.param(40, "t", 0, 25, Start(25, "t~1", Break.WENT_BACKWARDS, seek_to=25), id="lost its tail"),
        pytest.param(40, "t~1", 0, 25, Start(25, "t~2", Break.WENT_BACKWARDS, seek_to=25), id="again"),
        pytest.param(30, "t~1", 0, 35, Start(30, "t~1"), id="the log that lost its tail goes on"),
    ],
)
def test_where_a_partition_begins(committed: int | None, log_name: str | None, first: int, end: int, start: Start) -> None:
    assert find_start(committed, log_name, first, end, "t") == start
