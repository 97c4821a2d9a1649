"""Fill a chdb folder with what a replay wrote: `python fill_store.py REPLAY_OUTPUT CHDB_FOLDER`.

A folder has one owner at a time, so this is a process of its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pipeline.clickhouse.client import Client
from pipeline.model.record import Form, Record, Token
from pipeline.store.migrations import migrate
from pipeline.store.outcome_rows import read_outcome
from pipeline.store.rows import EventRow, read_storage_message
from pipeline.store.writer import RowWriter


def fill(output: Path, folder: Path) -> None:
    client = Client(f"chdb://{folder}")
    migrate(client)
    writer = RowWriter(client)
    rows = [read_storage_message(record) for record in records(output / "events.jsonl")]
    events = [row for row in rows if isinstance(row, EventRow)]
    assert writer.write_events(events, "fill/0") == []
    outcomes = [read_outcome(record) for record in records(output / "outcomes.jsonl")]
    assert writer.write_outcomes(outcomes, "fill/1") == []
    client.close()


def records(file: Path) -> list[Record]:
    lines = file.read_bytes().splitlines()
    now = time.time()
    return [Record(line, Form.JSON, file.name, (0, number), now, Token("fill", 0, number)) for number, line in enumerate(lines)]


if __name__ == "__main__":
    fill(Path(sys.argv[1]), Path(sys.argv[2]))
