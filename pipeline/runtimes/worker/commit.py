"""What a commit can come to beside success."""


class CommitError(Exception):
    """The transaction did not commit, or nobody can say: read again from what is committed, and do it again."""


class SlotTakenError(Exception):
    """Another worker uses this one's slot; going on would only be a fight over it."""
