"""Errors that one part of the package raises and another handles, such as a rule file that does not parse."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RuleError:
    """One mistake in a rule file. `line` and `column` count from 1; `text` is the offending line as written."""

    file: str
    line: int | None
    column: int | None
    message: str
    text: str = ""

    def __str__(self) -> str:
        """Return `file:line:column: message` as compilers write it, with the offending line below."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" + (f"\n    {self.text}" if self.text else "")


class InvalidRulesError(Exception):
    """Rule files that must not be used. `errors` holds every mistake that was found, not only the first."""

    def __init__(self, errors: list[RuleError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


class RetryableError(Exception):
    """A service is away. The batch itself is good, and should be run again in `retry_in_s` seconds."""

    def __init__(self, service: str, detail: str, retry_in_s: float = 1.0) -> None:
        super().__init__(service, detail, retry_in_s)  # pickle calls the class with these
        self.service = service
        self.detail = detail
        self.retry_in_s = retry_in_s

    def __str__(self) -> str:
        """Return `<service>: <detail>`, such as `redis: connection refused`."""
        return f"{self.service}: {self.detail}"


class GiveUpError(Exception):
    """The run cannot go on, and its input is not at fault. The message says what a person can do."""


class StaleBatchError(Exception):
    """Another worker has already processed later records.

    The batch must be dropped, and reading starts at the committed offsets.
    """


class SettingsError(Exception):
    """A settings file, variable or option that cannot be used. The message names it."""


class CommitError(Exception):
    """A commit failed, or its result is unknown. Reading must start again at the committed positions."""


class SlotTakenError(Exception):
    """Another worker uses the same slot. Going on would make each fence the other off again and again."""


class BrokerError(Exception):
    """A Kafka request of a command failed or timed out. The message says what was tried."""


def describe_failure(error: BaseException) -> str:
    """Return an exception's text and where in this package it was raised.

    For instance `KeyError: 'frames' (pipeline/model/title.py:64 in culprit)`.
    """
    said = f"{type(error).__name__}: {error}"
    package = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(package):
            return f"{said} ({path.relative_to(package.parent)}:{frame.lineno} in {frame.name})"
    return said
