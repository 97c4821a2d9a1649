"""Script names: bundlers put a content hash into file names, so every deploy is a new group (spec/grouping.md, section 9)."""

from __future__ import annotations

import re

_HASH = r"(?=[a-z_-]*\d)(?:[0-9a-f]{6,64}|[A-Za-z0-9_-]{8}|[A-Za-z0-9]{16,22})"
_BEFORE_SUFFIX = re.compile(
    rf"(?<=[^/.])[.-]{_HASH}(?=(?:\.(?:min|chunk|bundle|esm|module|prod|worker))*(?:\.[mc]?jsx?|\.tsx?)?$)", re.ASCII
)
_WHOLE = re.compile(r"(^|/)[0-9a-f]{16,64}(?=(?:\.(?:min|chunk|bundle))*\.[mc]?js$)", re.ASCII)


def strip_bundle_hash(name: str) -> str:
    """Drop the content hash before a script's suffix: `app.3f2a91c.js` and `app-77b0e1d2.min.js` become `app.js`, `app.min.js`.

    A hash holds a digit: `jquery.slim-overrides.js` keeps its name. A name that is only a hash becomes `<hash>`.
    """
    stripped = _BEFORE_SUFFIX.sub("", name)
    return _WHOLE.sub(r"\1<hash>", stripped)
