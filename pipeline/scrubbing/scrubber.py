"""The scrubber of one project."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from pipeline.model.rule_file import Layer
from pipeline.model.toml_file import read_layers

_SECRET_KEY = re.compile(
    r"(?i)password|secret|passwd|api[-_]?key|auth|credentials|mysql_pwd|private[-_]?key|token|^otp$|^two[-_]factor$"
)
_CARD = re.compile(r"\b(?:\d[ -]?){13,16}\b")


class ScrubbingFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scrubbing.toml`."""

    enabled: bool = True


class Scrubber:
    """Replaces secrets in an event."""

    def __init__(self, file: ScrubbingFile) -> None:
        self.enabled = file.enabled

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `scrubbing.toml` of each layer. Raises InvalidRulesError."""
        return cls(read_layers("scrubbing.toml", layers, ScrubbingFile))

    def scrub(self, event: dict[str, Any]) -> None:
        """Scrub a normalized event in place."""
        if not self.enabled:
            return
        for name in ("extra", "contexts", "user", "request"):
            if name in event:
                event[name] = _scrubbed(event[name])


def _scrubbed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: "[Filtered]" if isinstance(child, str) and _SECRET_KEY.search(key) else _scrubbed(child)
            for key, child in value.items()
        }
    if isinstance(value, list):
        return [_scrubbed(child) for child in value]
    return _CARD.sub("[Filtered]", value) if isinstance(value, str) else value
