"""Logs: one JSON object a line on stderr, or plain text for people. Lines are per batch at most, never per event."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import orjson

from pipeline.settings import Reports

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("aiohttp.access", "aiokafka", "faust", "mode")
"""Loggers of libraries whose `info` is of no use to an operator."""


class JsonFormatter(logging.Formatter):
    """A record's time, level, logger and message, and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line; values that are no JSON are printed as text."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Give time, level and message, then what `extra` gave."""
        extra = " ".join(
            f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD and not name.startswith("_")
        )
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        line = f"{time} {record.levelname:7} {record.name}: {record.getMessage()}" + (f"  {extra}" if extra else "")
        return line + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def set_up_logs(reports: Reports) -> None:
    """Send all logs to stderr in the form and from the level that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if reports.log_form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(reports.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
