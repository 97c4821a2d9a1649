"""Fetching built files from where browsers got them: what may be asked, and what came of it. Off unless configured."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Scraped(NamedTuple):
    """A fetched file, or why there is none: `reason` is `not_found`, `disallowed`, `too_large`, `timeout` or `failed`."""

    content: bytes | None
    reason: str | None = None


class Scraper(Protocol):
    """Fetches public files."""

    def fetch(self, url: str) -> Scraped:
        """Fetch a file, or give what came of the last attempt. Never raises for what the other side does."""
