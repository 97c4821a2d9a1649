"""Logs on stderr, by structlog: one JSON object a line, or text for people. There is a line per batch at most, never per event.

All code logs through the standard `logging`; what it passes as `extra=` becomes keys of the line:

    {"time":"2026-11-22T12:00:00.000+00:00","level":"info","logger":"pipeline.rules.folder","message":"rules reloaded",
     "rules_version":"5f1c"}
    12:00:00.000 INFO    pipeline.rules.folder: rules reloaded  rules_version=5f1c
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, Processor

from pipeline.observability.log_repeats import RepeatFilter
from pipeline.settings.schema import ReportSettings

_QUIET = ("aiohttp.access", "aiokafka", "asyncio", "faust", "mode", "redis", "urllib3")
"""Loggers of libraries whose `info` and `debug` lines are of no use to an operator."""


def set_up_logs(reports: ReportSettings) -> None:
    """Send all logs to stderr, in the form and from the level that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if reports.log_form == "json" else text_formatter())
    handler.addFilter(RepeatFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(reports.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def json_formatter() -> logging.Formatter:
    """Return a formatter that prints one JSON object a line. Values that JSON does not know are printed as text."""
    return _formatter(structlog.processors.JSONRenderer(_dump_json, default=str))


def text_formatter() -> logging.Formatter:
    """Return a formatter that prints one line for people, followed by the traceback if there is one."""
    return _formatter(_render_text)


def _formatter(renderer: Processor) -> ProcessorFormatter:
    return ProcessorFormatter(
        processors=[
            _add_standard_keys,
            ExtraAdder(),
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ]
    )


def _add_standard_keys(_: Any, level: str, event: EventDict) -> EventDict:
    """Put time, level, logger and message before all other keys."""
    record: logging.LogRecord = event["_record"]
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return {"time": time, "level": level, "logger": record.name, "message": event.pop("event"), **event}


def _dump_json(line: EventDict, **options: Any) -> str:
    return orjson.dumps(line, option=orjson.OPT_NON_STR_KEYS, **options).decode()


def _render_text(_: Any, __: str, event: EventDict) -> str:
    time, level, logger, message = (event.pop(name) for name in ("time", "level", "logger", "message"))
    exception = event.pop("exception", None)
    line = f"{time[11:23]} {level.upper():7} {logger}: {message}"
    if event:
        line += "  " + " ".join(f"{name}={value}" for name, value in event.items())
    return line if exception is None else f"{line}\n{exception}"
