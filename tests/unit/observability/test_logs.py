from __future__ import annotations

import json
import logging
import sys

from pipeline.observability.logs import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("pipeline.x", logging.WARNING, __file__, 1, message, arguments, None)
    vars(made).update(extra)
    return made


def test_json_has_what_extra_gave_and_prints_whatever_it_is() -> None:
    line = json.loads(JsonFormatter().format(record("took %s s", 3, partition=2, ends={0: 5}, odd=object())))
    assert (line["level"], line["logger"], line["message"], line["partition"]) == ("warning", "pipeline.x", "took 3 s", 2)
    assert line["ends"] == {"0": 5}
    assert line["odd"].startswith("<object")
    assert line["time"].endswith("+00:00")


def test_json_is_one_line_with_its_exception() -> None:
    try:
        int("no")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    text = JsonFormatter().format(made)
    assert "\n" not in text
    assert "ValueError: invalid literal" in json.loads(text)["exception"]


def test_text_is_for_people() -> None:
    assert "WARNING pipeline.x: took 3 s  partition=2" in TextFormatter().format(record("took %s s", 3, partition=2))
