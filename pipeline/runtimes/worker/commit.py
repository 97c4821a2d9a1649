"""What goes into a commit, and what it can come to beside success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.model.output import Output

Outputs = Mapping[str, Sequence[Output]]
"""Records to produce, by topic."""


class CommitError(Exception):
    """The transaction did not commit, or nobody can say: read again from what is committed, and do it again."""


class SlotTakenError(Exception):
    """Another worker uses this one's slot; going on would only be a fight over it."""
