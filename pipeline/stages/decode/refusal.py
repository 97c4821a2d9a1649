"""Refusal: why a record, or one thing in it, is a dead letter."""

from __future__ import annotations


class RefusalError(Exception):
    """What cannot be decoded. `reason` is in Relay's words (spec/storage.md, section 3); the text is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)
