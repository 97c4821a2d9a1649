"""Why an event groups as it does, as data. `pipeline explain` prints it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipeline.grouping.explain.rule_tracing import TouchedFrame
from pipeline.grouping.variants import Variant
from pipeline.model.grouping import Grouping


@dataclass(frozen=True, slots=True)
class MatchedRule:
    """The fingerprint rule that an event matched."""

    text: str
    file: str
    line: int
    is_builtin: bool

    def to_json(self) -> dict[str, Any]:
        """Return the rule as `explain --json` prints it."""
        return {"rule": self.text, "file": self.file, "line": self.line, "is_builtin": self.is_builtin}


@dataclass(slots=True)
class Explanation:
    """Why one event groups as it does.

    `client_fingerprint` is what the sender wrote, or empty if that is the default; a matched rule wins over it.
    The caller sets `project_id`, and the title if no rule sets one.
    """

    event_id: str | None
    configuration: str
    grouping: Grouping
    matched_rule: MatchedRule | None
    client_fingerprint: tuple[str, ...]
    title: str | None
    variants: dict[str, Variant]
    touched_frames: list[TouchedFrame] = field(default_factory=list)
    project_id: int | None = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """The published hashes, the primary first."""
        return self.grouping.hashes

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """The fingerprint in force, with variables as written."""
        return self.grouping.fingerprint

    @property
    def primary_hash(self) -> str:
        """The hash that names the group."""
        return self.hashes[0]

    def primary_variant(self) -> tuple[str, Variant]:
        """Return the name and the variant whose hash is the primary one."""
        return next((name, variant) for name, variant in self.variants.items() if variant.hash == self.primary_hash)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `explain --json` prints for the event."""
        return {
            "event_id": self.event_id,
            "project_id": self.project_id,
            "title": self.title,
            "primary_hash": self.primary_hash,
            "hashes": list(self.hashes),
            "secondary_hashes": list(self.grouping.secondary_hashes),
            "configuration": self.configuration,
            "decided_group_id": self.grouping.decided_group_id,
            "fingerprint": list(self.grouping.fingerprint),
            "matched_fingerprint_rule": self.matched_rule.to_json() if self.matched_rule is not None else None,
            "client_fingerprint": list(self.client_fingerprint),
            "variants": {name: self._variant_json(variant) for name, variant in self.variants.items()},
            "stack_trace_rules": [touched.to_json() for touched in self.touched_frames],
        }

    def _variant_json(self, variant: Variant) -> dict[str, Any]:
        """Return a variant for `to_json`. If a fingerprint takes part in it, the sender's is added."""
        sent = {"client_values": list(self.client_fingerprint)} if variant.values and self.client_fingerprint else {}
        return variant.to_json() | sent
