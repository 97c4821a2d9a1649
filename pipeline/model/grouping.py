"""The result of grouping, as later stages need it. `pipeline.grouping.explain` has the reasons."""

from __future__ import annotations

from dataclasses import dataclass

import xxhash


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of one event.

    `hashes` are those of the present configuration, the primary hash first. While a project changes its configuration,
    `secondary_hashes` are those of the previous one. `decided_group_id` is set if a person merged or split the group. Otherwise
    the id follows from project and primary hash.
    """

    hashes: tuple[str, ...]
    fingerprint: tuple[str, ...]
    secondary_hashes: tuple[str, ...] = ()
    decided_group_id: int | None = None
    previous_primary_hash: str | None = None
    """During a change of configuration: the primary hash under the previous one, which still names the group."""
    title: str | None = None
    """The `title` of the fingerprint rule that matched, if it has one."""

    @property
    def primary_hash(self) -> str:
        """The hash in the storage message."""
        return self.hashes[0]

    def group_id(self, project_id: int) -> int:
        """Return the group's id, which is below 2**63.

        It is computed, not assigned, so every worker and every replay gets the same.
        """
        if self.decided_group_id is not None:
            return self.decided_group_id
        return derive_group_id(project_id, self.previous_primary_hash or self.primary_hash)


def derive_group_id(project_id: int, primary_hash: str) -> int:
    """Return a group's id, derived from its project and primary hash."""
    return xxhash.xxh3_64_intdigest(f"{project_id}:{primary_hash}".encode()) & (2**63 - 1)
