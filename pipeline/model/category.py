"""Data categories: what is counted. The numbers are those of the outcomes topic. See docs/spec/outcomes.md."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class DataCategory(IntEnum):
    """The kinds of things that are counted. `ATTACHMENT` and `LOG_BYTE` count bytes, the others items."""

    DEFAULT = 0
    ERROR = 1
    TRANSACTION = 2
    SECURITY = 3
    ATTACHMENT = 4
    SESSION = 5
    PROFILE = 6
    REPLAY = 7
    TRANSACTION_PROCESSED = 8
    TRANSACTION_INDEXED = 9
    MONITOR = 10
    PROFILE_INDEXED = 11
    SPAN = 12
    MONITOR_SEAT = 13
    FEEDBACK = 14
    METRIC_BUCKET = 15
    SPAN_INDEXED = 16
    PROFILE_DURATION = 17
    PROFILE_CHUNK = 18
    METRIC_SECOND = 19
    REPLAY_VIDEO = 20
    UPTIME = 21
    ATTACHMENT_ITEM = 22
    LOG_ITEM = 23
    LOG_BYTE = 24
    PROFILE_DURATION_UI = 25
    PROFILE_CHUNK_UI = 26
    SEER_AUTOFIX = 27
    SEER_SCANNER = 28
    PREVENT_USER = 29
    PREVENT_REVIEW = 30
    SIZE_ANALYSIS = 31
    INSTALLABLE_BUILD = 32
    TRACE_METRIC = 33
    SEER_USER = 34
    PROFILE_BACKEND = 35
    PROFILE_UI = 36
    UNKNOWN = -1

    @property
    def label(self) -> str:
        """The name in quota files and rate-limit headers, such as `error`."""
        return self.name.lower()

    @property
    def unit(self) -> str:
        """`bytes` or `count`. A quota must not mix the two."""
        return "bytes" if self in _BYTES else "count"

    @classmethod
    def from_label(cls, label: str) -> Self:
        """Parse a category's name. An unknown name becomes `UNKNOWN`, which is not the same as all categories."""
        member = cls.__members__.get(label.upper())
        return cls(member if member is not None else -1)


_BYTES = frozenset({DataCategory.ATTACHMENT, DataCategory.LOG_BYTE})

ERROR_CATEGORIES = frozenset({DataCategory.DEFAULT, DataCategory.ERROR, DataCategory.SECURITY})
"""The three categories that an error quota always names together. See docs/spec/quotas.md."""
