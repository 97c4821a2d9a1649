"""The spool: a folder that keeps what was accepted until somebody has carried it on. It survives a kill -9 and a power loss.

    id                            the spool's own name, a UUID
    position                      up to where its reader's work was committed, as far as this machine knows
    000000000007.segment          records, one after the other
    000000000007-00000004096.body the body of a record above 1 MiB: of the one at offset 4096 of segment 7
    <uuid>.staged                 a body that is still arriving; no record names it yet
    000000000007-00000000512.broken    bytes at that place that are no record, put aside by the reader

Three rules keep it safe, and `tests/unit/spool` tries them on a file system that loses whatever was not synced:
- A record is acknowledged after one fdatasync of its segment. The folder is synced when a segment is made, and when a body gets
  its name.
- A segment is never appended to by a later process, and its number is never used again. A position in it stays true, also where
  a power loss takes the unacknowledged end of the segment away.
- A segment is deleted after the position that lies behind it was committed.

Nothing in this room knows what a record holds.
"""
