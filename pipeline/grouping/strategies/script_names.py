"""Removes content hashes from script names. Bundlers put them there, so each deploy would be a new group.

See docs/spec/grouping.md, "The project's own configuration".
"""

from __future__ import annotations

import re

_SUFFIX = r"(?:\.(?:min|chunk|bundle|esm|module|prod|worker|legacy))*(?:\.[cm]?[jt]sx?)?$"
_CANDIDATE = re.compile(rf"(?<=[^/.-])[.-]([A-Za-z0-9_]{{6,64}})(?={_SUFFIX})", re.ASCII)
_DASHED_CANDIDATE = re.compile(
    rf"(?<=[^/.-])[.-]((?=[A-Za-z0-9_]+-[A-Za-z0-9_]+{_SUFFIX})[A-Za-z0-9_-]{{8}})(?={_SUFFIX})", re.ASCII
)
"""Vite's hashes are URL-safe base64. One in ten contains a dash."""
_WHOLE = re.compile(rf"(^|/)([A-Za-z0-9_]{{8,64}})(?={_SUFFIX})", re.ASCII)

_HEX = re.compile(r"(?=[a-fA-F]*\d)(?:[0-9a-f]{6,64}|[0-9A-F]{6,64})")
_BASE64_LENGTHS = frozenset({8, *range(16, 23)})
"""The lengths of the hashes of letters and digits that esbuild, Rollup, Vite and webpack make."""

_WORD = r"(?:[A-Z]?[a-z]*(?:[A-Z][a-z]{2,})*\d{0,2}|[a-z]+\d[a-z]+|[A-Z]{2,}[a-z]*)"
_WORDS = re.compile(rf"{_WORD}(?:_{_WORD})*")
"""Names that a person gives a file, such as `CartPage`, `vendors2`, `utf8util`, `HTMLTags` and `user_api`."""
_ALL_KINDS = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)")

MAX_NAME_CHARS = 1_024


def strip_bundle_hash(name: str) -> str:
    """Return a script's name without the content hash at its end.

    A name that is only a hash becomes `<hash>`. A name longer than `MAX_NAME_CHARS` is returned unchanged. Case matters.

    >>> strip_bundle_hash("app.3f2a91c.js"), strip_bundle_hash("app-77b0e1d.js")
    ('app.js', 'app.js')
    """
    if len(name) > MAX_NAME_CHARS:
        return name
    found = _CANDIDATE.search(name)
    if found is not None and _is_hash(found[1]):
        return name[: found.start()] + name[found.end() :]
    dashed = _DASHED_CANDIDATE.search(name)
    if dashed is not None and _ALL_KINDS.match(dashed[1]):
        return name[: dashed.start()] + name[dashed.end() :]
    if found is not None:
        return name
    found = _WHOLE.search(name)
    if found is not None and _HEX.fullmatch(found[2]):
        return f"{name[: found.start(2)]}<hash>{name[found.end(2) :]}"
    return name


def _is_hash(text: str) -> bool:
    if _HEX.fullmatch(text):
        return True
    return len(text) in _BASE64_LENGTHS and not _WORDS.fullmatch(text)
