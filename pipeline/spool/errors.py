"""What can go wrong with a spool."""

from __future__ import annotations

import errno


class SpoolError(Exception):
    """A record could not be made durable, and is not acknowledged. The message names the cause, such as a full disk."""

    def __init__(self, error: OSError) -> None:
        self.is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        super().__init__("the disk is full" if self.is_full else f"the disk failed: {error.strerror or error}")


class SpoolInUseError(Exception):
    """Another process uses this spool."""
