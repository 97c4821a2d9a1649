"""Grouping: which group an event belongs to, as later stages need it. The reasons are `pipeline.grouping`'s to explain."""

from __future__ import annotations

from dataclasses import dataclass

import xxhash


@dataclass(frozen=True, slots=True)
class Grouping:
    """The result of grouping one event.

    `hashes` are this configuration's, the primary first; `secondary_hashes` those of the configuration before, during a change.
    `group_id` is set where a person's decision (merge, split) names it; else it follows from project and primary hash.
    """

    hashes: tuple[str, ...]
    fingerprint: tuple[str, ...]
    secondary_hashes: tuple[str, ...] = ()
    decided_group_id: int | None = None
    previous_primary_hash: str | None = None
    """During a change of configuration: the primary hash of before, which goes on naming the group."""
    title: str | None = None
    """A fingerprint rule's `title`, where it gave one."""

    @property
    def primary_hash(self) -> str:
        """The hash that the storage topic carries."""
        return self.hashes[0]

    def group_id(self, project_id: int) -> int:
        """Give the group's id: no database assigns it, so that every worker and every replay agrees. Below 2**63."""
        if self.decided_group_id is not None:
            return self.decided_group_id
        return derive_group_id(project_id, self.previous_primary_hash or self.primary_hash)


def derive_group_id(project_id: int, primary_hash: str) -> int:
    """Derive a group's id from its project and primary hash."""
    return xxhash.xxh3_64_intdigest(f"{project_id}:{primary_hash}".encode()) & (2**63 - 1)
