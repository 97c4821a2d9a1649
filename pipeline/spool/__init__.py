"""The spool: a folder that keeps records until their reader has committed them. It survives a kill -9 and a power loss.

    id                            the spool's own name, a UUID
    position                      the position that the reader has committed, as far as this machine knows
    000000000007.segment          records, one after the other
    000000000007-00000004096.body the body of a record above 1 MiB: of the one at offset 4096 of segment 7
    <uuid>.staged                 a body that is still arriving; no record names it yet
    000000000007-00000000512.broken    damaged bytes from that position, put aside by the reader

Three rules keep it safe, and `tests/unit/spool` tries them on a file system that loses whatever was not synced:
- A record is acknowledged after one fdatasync of its segment. The folder is synced when a segment is made, and when a body gets
  its name.
- A later process never appends to a segment or uses its number again. So a position stays valid even if a power loss removes the
  unacknowledged end of the segment.
- A segment is deleted after a position behind it was committed.

Nothing in this package depends on the content of records.
"""
