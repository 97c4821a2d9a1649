from __future__ import annotations

import pytest

from pipeline.kafka.start import Break, Mark, Start, find_start, parse_mark


@pytest.mark.parametrize("mark", [Mark("a"), Mark("a~2", 3), Mark("a", 1, is_alone=True)])
def test_a_mark_is_read_back(mark: Mark) -> None:
    assert parse_mark(str(mark)) == mark


@pytest.mark.parametrize("metadata", [None, "", "somebody else's", "log=", "log=a b", "log=a tries=x"])
def test_what_others_wrote_is_no_mark(metadata: str | None) -> None:
    assert parse_mark(metadata) is None


@pytest.mark.parametrize(
    ("committed", "mark", "first", "end", "start"),
    [
        pytest.param(None, None, 3, 9, Start(3, Mark("t")), id="nothing committed"),
        pytest.param(5, Mark("t"), 3, 9, Start(5, Mark("t")), id="goes on"),
        pytest.param(9, Mark("t", 1), 3, 9, Start(9, Mark("t", 1)), id="at the end"),
        pytest.param(5, None, 3, 9, Start(5, Mark("t")), id="a commit of an older version"),
        pytest.param(1, Mark("t", 2), 3, 9, Start(1, Mark("t"), Break.RETENTION, lost=2), id="records deleted by retention"),
        pytest.param(5, Mark("old"), 0, 9, Start(0, Mark("t"), Break.RECREATED, seek_to=0), id="another topic, longer"),
        pytest.param(40, Mark("old"), 0, 25, Start(0, Mark("t"), Break.RECREATED, seek_to=0), id="another topic, shorter"),
        pytest.param(40, Mark("t"), 0, 25, Start(25, Mark("t~1"), Break.WENT_BACKWARDS, seek_to=25), id="lost its tail"),
        pytest.param(40, Mark("t~1"), 0, 25, Start(25, Mark("t~2"), Break.WENT_BACKWARDS, seek_to=25), id="again"),
        pytest.param(30, Mark("t~1"), 0, 35, Start(30, Mark("t~1")), id="the log that lost its tail goes on"),
    ],
)
def test_where_a_partition_begins(committed: int | None, mark: Mark | None, first: int, end: int, start: Start) -> None:
    assert find_start(committed, mark, first, end, "t") == start
