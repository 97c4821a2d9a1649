"""Sorts ClickHouse's errors by what a caller must do: wait, give up, or look at the row."""

from __future__ import annotations

from pipeline.model.errors import RetryableError

SERVICE = "clickhouse"
RETRY_IN_S = 1.0


class AwayError(RetryableError):
    """ClickHouse does not answer, or cannot do it now: it is stopping, or out of memory or disk. The call may succeed later."""

    def __init__(self, detail: str) -> None:
        super().__init__(SERVICE, detail, RETRY_IN_S)

    def __reduce__(self) -> tuple[type[AwayError], tuple[str]]:
        """Return the class and the arguments for pickle."""
        return type(self), (self.detail,)


class RefusedError(Exception):
    """ClickHouse refused a statement. The same statement would be refused again.

    `code` is ClickHouse's number, 0 if it gave none.
    """

    def __init__(self, detail: str, code: int = 0) -> None:
        super().__init__(detail, code)
        self.detail = detail
        self.code = code

    def __str__(self) -> str:
        """Return `clickhouse: <detail>`."""
        return f"clickhouse: {self.detail}"


class WrongRowError(RefusedError):
    """ClickHouse could not read a row of an insert. Nothing of the insert was stored."""


class TooExpensiveError(RefusedError):
    """A query went over its limit of time, memory or rows."""


_AWAY_CODES = frozenset(
    {
        3,  # UNEXPECTED_END_OF_FILE: the connection broke while rows were sent
        74, 75, 76, 77, 87,  # reading, writing, opening, syncing or closing a file failed
        164,  # READONLY: an operator has set it, and will unset it
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209, 210, 279,  # time-outs and breaks between the servers
        225, 242, 244, 285, 319, 999,  # Keeper or replicas are away
        236,  # ABORTED: the server stops
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS: merges are behind
        439,  # CANNOT_SCHEDULE_TASK
        516,  # AUTHENTICATION_FAILED: an operator will mend it, and waiting loses nothing
        1001,  # an exception of the operating system, such as a full disk
    }
)  # fmt: skip
_COST_CODES = frozenset({158, 159, 160, 241, 307, 396})
_ROW_CODES = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 190, 321, 349, 376, 441, 675, 676})


def sort_error(code: int, detail: str, *, is_insert: bool) -> Exception:
    """Return the error that a code of ClickHouse's stands for.

    A limit of time or memory makes a query too expensive. An insert has to be stored some time, so it waits.
    """
    if code in _AWAY_CODES or (is_insert and code in _COST_CODES):
        return AwayError(detail)
    if code in _COST_CODES:
        return TooExpensiveError(detail, code)
    if is_insert and code in _ROW_CODES:
        return WrongRowError(detail, code)
    return RefusedError(detail, code)
