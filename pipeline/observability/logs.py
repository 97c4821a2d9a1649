"""Logs: one JSON object a line on stderr, or plain text for people. Lines are per batch at most, never per event."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from pipeline.settings.schema import ReportSettings

KAFKA_CLIENT = "librdkafka"
"""Logger of what the hot path's Kafka client says of itself, besides the errors that it reports to us."""
KAFKA_CLIENTS = ("aiokafka", KAFKA_CLIENT)
"""What loggers of Kafka clients begin with; the former is Faust's."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = ("aiohttp.access", "aiokafka", "asyncio", "faust", "mode", "redis", "urllib3")
"""Loggers of libraries whose `info` and `debug` are of no use to an operator."""


_REPEATING = (*KAFKA_CLIENTS, "pipeline.kafka.")
"""Loggers that tell of each try to reach a broker: together some seventy lines a second while it is away."""
REPEATED_EVERY_S = 10.0
_KINDS_KEPT = 1_000


class Repeats(logging.Filter):
    """Lets what a Kafka client repeats through once in a while; `repeats` says how often it came meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}
        """When a kind of line was last let through, and how many were not since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line goes out. A kind is a logger's message and whom it is about, or which error of the client's."""
        if record.levelno < logging.WARNING or not record.name.startswith(_REPEATING):
            return True
        about = record.args[0] if isinstance(record.args, tuple) and record.args else None
        kind = (record.name, record.msg, vars(record).get("kafka_error", str(about)))
        now = self._clock()
        last, repeats = self._kinds.get(kind, (float("-inf"), 0))
        if now - last < REPEATED_EVERY_S:
            self._kinds[kind] = (last, repeats + 1)
            return False
        if len(self._kinds) >= _KINDS_KEPT:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if repeats:
            record.repeats = repeats
        return True


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


def set_up_logs(reports: ReportSettings) -> None:
    """Send all logs to stderr in the form and from the level that the settings name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if reports.log_form == "json" else TextFormatter())
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(reports.log_level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
