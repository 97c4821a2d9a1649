"""The journal and the sink of serve: interrupted anywhere, a batch is finished from what was written, and once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.clickhouse.errors import AwayError
from pipeline.model.dead_letter import DeadLetter
from pipeline.model.errors import CommitError
from pipeline.model.record import Form, Record, Token
from pipeline.serve.journal import BATCH, Journal, ServePosition, Written
from pipeline.serve.sink import BEGINNING, ServeSink
from pipeline.serve.work import ServeResult
from pipeline.spool.segment import SpoolPosition
from pipeline.store.rows import EventRow

POSITION = ServePosition(SpoolPosition(1, 500), 3)
ROWS = [EventRow(1, 2, 3.0, b'{"a":%d}' % number, b"{}") for number in range(3)]
LETTER = DeadLetter(Record(b"bytes", Form.MSGPACK, "spool", (0, 1), 0.0, Token("s", 0, 1)), "decode", "payload")


class Rows:
    """Takes rows as ClickHouse does: a token that was seen stores nothing. `fails` calls raise."""

    def __init__(self) -> None:
        self.stored: dict[str, list[Any]] = {}
        self.fails = 0

    def write_events(self, rows: list[EventRow], token: str) -> list[int]:
        return self._write(f"events {token}", rows)

    def write_outcomes(self, rows: list[bytes], token: str) -> list[int]:
        return self._write(f"outcomes {token}", rows)

    def _write(self, key: str, rows: list[Any]) -> list[int]:
        self.stored.setdefault(key, list(rows))
        if self.fails:
            self.fails -= 1
            raise AwayError("the answer did not come")
        return []


def result_of(rows: list[EventRow], dead: list[DeadLetter]) -> ServeResult:
    return ServeResult(0, rows, [], [b'{"o":1}'], dead, 5.0)


def sink_of(folder: Path, rows: Rows) -> ServeSink:
    return ServeSink("spool-id", Journal(folder / "journal"), rows, folder / "dead_letters.jsonl")  # type: ignore[arg-type]  # a model of it


def test_a_batch_becomes_durable(tmp_path: Path) -> None:
    rows = Rows()
    sink = sink_of(tmp_path, rows)
    assert sink.begin() == BEGINNING
    sink.commit(result_of(ROWS, [LETTER]), POSITION)
    assert sink.position == Journal(tmp_path / "journal").position() == POSITION
    assert sum(map(len, rows.stored.values())) == 4
    assert len((tmp_path / "dead_letters.jsonl").read_text().splitlines()) == 1
    assert Journal(tmp_path / "journal").unfinished() is None


@pytest.mark.parametrize("lives", [1, 2, 3])
def test_a_redo_inserts_what_was_written_and_not_what_would_be_made_now(tmp_path: Path, lives: int) -> None:
    rows = Rows()
    rows.fails = lives
    sink = sink_of(tmp_path, rows)
    with pytest.raises(CommitError):
        sink.commit(result_of(ROWS, [LETTER]), POSITION)
    for _ in range(lives - 1):
        with pytest.raises(AwayError):
            sink_of(tmp_path, rows).begin()
    again = sink_of(tmp_path, rows)
    assert again.begin() == POSITION
    assert [len(stored) for stored in rows.stored.values()] == [3, 1]
    assert len((tmp_path / "dead_letters.jsonl").read_text().splitlines()) == 1


def test_nothing_else_is_committed_before_the_batch_is_finished(tmp_path: Path) -> None:
    rows = Rows()
    rows.fails = 1
    sink = sink_of(tmp_path, rows)
    with pytest.raises(CommitError):
        sink.commit(result_of(ROWS, []), POSITION)
    with pytest.raises(CommitError, match="not been finished"):
        sink.commit(result_of(ROWS[:1], []), POSITION)
    assert sink.begin() == POSITION


def test_a_torn_dead_letter_is_cut(tmp_path: Path) -> None:
    rows = Rows()
    sink = sink_of(tmp_path, rows)
    sink.commit(result_of([], [LETTER]), POSITION)
    rows.fails = 1
    later = ServePosition(SpoolPosition(1, 900), 5)
    with pytest.raises(CommitError):
        sink.commit(result_of(ROWS, [LETTER]), later)
    with (tmp_path / "dead_letters.jsonl").open("ab") as file:
        file.write(b'{"bytes": "torn')
    sink_of(tmp_path, rows).begin()
    lines = (tmp_path / "dead_letters.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]


@pytest.mark.parametrize("size", [0, 3, 10])
def test_a_torn_journal_was_never_inserted(tmp_path: Path, size: int) -> None:
    journal = Journal(tmp_path)
    journal.write(Written("s", 0, 3, 1, 500, ROWS, [], [], 0))
    whole = (tmp_path / BATCH).read_bytes()
    (tmp_path / BATCH).write_bytes(whole[:size])
    assert journal.unfinished() is None
    (tmp_path / BATCH).write_bytes(whole)
    found = journal.unfinished()
    assert found is not None
    assert (found.position, found.events) == (POSITION, ROWS)


def test_a_batch_that_was_finished_is_not_finished_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(Written("s", 0, 3, 1, 500, ROWS, [], [], 0))
    whole = (tmp_path / BATCH).read_bytes()
    journal.finish(POSITION)
    (tmp_path / BATCH).write_bytes(whole)
    assert journal.unfinished() is None
