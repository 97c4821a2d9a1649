"""What a blocked URI of a Content-Security-Policy report counts as: where it came from, not what was asked for there."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

MAX_CHARS = 8_192
"""More of a URI is not looked at."""

_SELF = "'self'"


def normalize_uri(text: str) -> str:
    """Reduce a blocked URI to scheme and host (spec/grouping.md, section 4.5).

    `'self'` for the page's own origin; the host alone for http and https; else `scheme://host`, or `scheme:` where there is
    none. Browsers report bare words too (`data`, `inline`): they are taken for schemes.
    """
    text = text[:MAX_CHARS]
    if text in {"", "self", _SELF}:
        return _SELF
    if ":" not in text:
        return urlunsplit((text, "", "", "", ""))
    try:
        scheme, host = urlsplit(text)[:2]
    except ValueError:
        scheme, _, rest = text.partition("?")[0].partition("://")
        host = rest.partition("/")[0]
    if scheme in {"http", "https"}:
        return host
    return urlunsplit((scheme, host, "", "", ""))
