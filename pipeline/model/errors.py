"""Errors that cross borders: a rule file that does not parse, a service that is away, a batch that is no longer ours."""

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
        """Print as compilers do: `file:line:column: message`."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" + (f"\n    {self.text}" if self.text else "")


class InvalidRulesError(Exception):
    """Rule files that must not be used; carries every mistake found, not only the first."""

    def __init__(self, errors: list[RuleError]) -> None:
        self.errors = errors
        super().__init__("\n".join(str(error) for error in errors))


class RetryableError(Exception):
    """A service is away: nothing is wrong with the batch; run it again in `retry_in_s` seconds."""

    def __init__(self, service: str, detail: str, retry_in_s: float = 1.0) -> None:
        super().__init__(service, detail, retry_in_s)  # what pickle makes it again from
        self.service = service
        self.detail = detail
        self.retry_in_s = retry_in_s

    def __str__(self) -> str:
        """Print as `redis: what it said`."""
        return f"{self.service}: {self.detail}"


class GiveUpError(Exception):
    """The run cannot go on, and no part of its input is to blame; the text says what a person can do."""


class StaleBatchError(Exception):
    """Another worker has gone past this batch: drop it, and read again from what is committed."""


class SettingsError(Exception):
    """A settings file, variable or flag that cannot be used; the text names it."""


class CommitError(Exception):
    """A batch was not committed, or nobody can say: read again from what is committed, and do it again."""


class SlotTakenError(Exception):
    """Another worker uses this one's slot; going on would only be a fight over it."""


class BrokerError(Exception):
    """Kafka said no, or nothing at all, to a command; the text says what was tried."""


def describe_failure(error: BaseException) -> str:
    """Return what went wrong and where in this package: `KeyError: 'frames' (pipeline/model/title.py:64 in culprit)`."""
    said = f"{type(error).__name__}: {error}"
    package = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(package):
            return f"{said} ({path.relative_to(package.parent)}:{frame.lineno} in {frame.name})"
    return said
