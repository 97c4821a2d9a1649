"""`pipeline offsets show`, with a Kafka and a Redis that say what the test says."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.offsets import offsets
from pipeline.kafka.offsets import Standing


@pytest.fixture
def standings(monkeypatch: pytest.MonkeyPatch) -> dict[int, Standing]:
    found: dict[int, Standing] = {}

    class FakeOffsets:
        def __init__(self, *_: object) -> None: ...

        def topic_id(self) -> str:
            return "topic"

        def read(self) -> dict[int, Standing]:
            return found

    monkeypatch.setattr("pipeline.kafka.offsets.GroupOffsets", FakeOffsets)
    monkeypatch.setattr("pipeline.wiring.redis.connect_redis", lambda _: None)
    monkeypatch.setattr("pipeline.quotas.redis_floors.read_floors", lambda *_: {3: 40})
    return found


def show(*options: str) -> Result:
    return CliRunner().invoke(offsets, ["show", *options], catch_exceptions=False)


@pytest.mark.parametrize(
    ("partition", "standing", "lag", "notes", "code"),
    [
        (0, Standing(0, None, 7), 7, [], 0),
        (0, Standing(5, 20, 30), 10, [], 0),
        (0, Standing(0, 40, 25), 0, ["the committed offset is past the end: pipeline offsets reset"], 1),
        (0, Standing(200, 100, 250), 50, ["100 unread offsets were deleted"], 0),
        (0, Standing(200, 100, 200), 0, ["100 unread offsets were deleted"], 0),
        (3, Standing(0, 30, 50), 20, ["redis is ahead: pipeline offsets reset"], 1),
        (3, Standing(0, 40, 50), 10, [], 0),
    ],
)
def test_lag_is_never_negative_and_what_is_wrong_is_said(
    standings: dict[int, Standing], partition: int, standing: Standing, lag: int, notes: list[str], code: int
) -> None:
    standings[partition] = standing
    as_json = show("--json")
    line = json.loads(as_json.stdout)
    assert (line["lag"], line.get("notes", []), as_json.exit_code) == (lag, notes, code)
    table = show()
    assert table.exit_code == code
    assert all(note in table.stdout for note in notes)
