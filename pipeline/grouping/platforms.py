"""Platforms: the families that rules and strategies treat alike (spec/grouping.md, section 4.1)."""

from __future__ import annotations

from typing import Any

NATIVE = frozenset({"objc", "cocoa", "swift", "native", "c"})
SCRIPT = frozenset({"javascript", "node"})
WITH_CONTEXT_LINES = frozenset({"javascript", "node", "python", "php", "ruby"})
"""Platforms whose source lines are stable enough to group by."""


def family_of(platform: str) -> str:
    """Give a platform's family: `native`, `javascript` or `other`."""
    if platform in NATIVE:
        return "native"
    return "javascript" if platform in SCRIPT else "other"


def platform_of(event: dict[str, Any]) -> str:
    """Give an event's platform; `other` where it names none."""
    platform = event.get("platform")
    return platform if isinstance(platform, str) and platform else "other"
