from __future__ import annotations

import json
import logging
import sys

import pytest

from pipeline.observability.log_repeats import REPEATED_EVERY_S, RepeatFilter
from pipeline.observability.logs import json_formatter, set_up_logs, text_formatter
from pipeline.settings.schema import ReportSettings


def record(message: str, *arguments: object, logger: str = "pipeline.x", **extra: object) -> logging.LogRecord:
    made = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, arguments, None)
    vars(made).update(extra)
    return made


def test_json_has_what_extra_gave_and_prints_whatever_it_is() -> None:
    line = json.loads(json_formatter().format(record("took %s s", 3, partition=2, ends={0: 5}, odd=object())))
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
    text = json_formatter().format(made)
    assert "\n" not in text
    assert "ValueError: invalid literal" in json.loads(text)["exception"]


def test_text_is_for_people() -> None:
    made = record("failed", stage="group")
    try:
        int("no")
    except ValueError:
        made.exc_info = sys.exc_info()
    lines = text_formatter().format(made).splitlines()
    assert lines[0].endswith("WARNING pipeline.x: failed  stage=group")
    assert lines[1].startswith("Traceback")
    assert "WARNING pipeline.x: took 3 s  partition=2" in text_formatter().format(record("took %s s", 3, partition=2))


@pytest.mark.parametrize("logger", ["aiokafka.consumer.fetcher", "librdkafka", "pipeline.kafka.consumer"])
def test_what_a_client_repeats_comes_once_in_a_while_and_says_how_often(logger: str) -> None:
    now = [0.0]
    repeats = RepeatFilter(clock=lambda: now[0])
    assert repeats.filter(record("no answer of %s", "a", logger=logger))
    assert not any(repeats.filter(record("no answer of %s", "a", logger=logger)) for _ in range(20))
    assert repeats.filter(record("no answer of %s", "b", logger=logger)), "another broker"
    assert repeats.filter(record("refused by %s", "a", logger=logger)), "another matter"
    now[0] = REPEATED_EVERY_S
    again = record("no answer of %s", "a", logger=logger)
    assert repeats.filter(again)
    assert json.loads(json_formatter().format(again))["repeats"] == 20


def test_an_error_of_the_client_is_told_by_its_name_and_ours_are_all_let_through() -> None:
    repeats = RepeatFilter(clock=lambda: 0.0)
    kafka = "pipeline.kafka.producer"
    assert repeats.filter(record("kafka: %s", "failed after 3 ms", logger=kafka, kafka_error="_TRANSPORT"))
    assert not repeats.filter(record("kafka: %s", "failed after 4 ms", logger=kafka, kafka_error="_TRANSPORT"))
    assert repeats.filter(record("kafka: %s", "failed after 4 ms", logger=kafka, kafka_error="_TIMED_OUT"))
    assert all(repeats.filter(record("batch not committed", logger="pipeline.runtimes.loop")) for _ in range(3))


def test_every_logger_of_the_process_writes_the_chosen_form_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        set_up_logs(ReportSettings(log_level="warning"))
        logging.getLogger("pipeline.x").info("not shown")
        logging.getLogger("pipeline.x").warning("shown", extra={"a": 1})
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [list(line) for line in lines] == [["time", "level", "logger", "message", "a"]]
