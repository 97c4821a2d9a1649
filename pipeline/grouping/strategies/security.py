"""Strategies for security reports: content security policy, certificate pinning and certificate transparency.

See docs/spec/grouping.md, "Security reports and templates".
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pipeline.grouping.component import Component
from pipeline.grouping.strategies.context import GroupingContext, Strategy, Variants, static_salt
from pipeline.model.event import Event

MAX_URI_CHARS = 8_192
"""The rest of a longer URI is ignored."""

_LOCAL = "'self'"
_LOCAL_VIOLATIONS = ("'unsafe-inline'", "'unsafe-eval'")


def by_csp(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the directive and by what was blocked. A script of the page itself counts by the way in which it is embedded."""
    del ctx
    report = event.get("csp")
    if not report:
        return {}
    directive = report.get("effective_directive")
    uri = normalize_uri(report.get("blocked_uri") or "")
    broken = _local_violation(report.get("violated_directive") or "") if directive == "script-src" and uri == _LOCAL else None
    if broken:
        violation = Component("violation", [broken])
        blocked = Component("uri", [uri], contributes=False, hint="violation takes precedence")
    else:
        violation = Component("violation", contributes=False, hint="not a local script violation")
        blocked = Component("uri", [uri])
    return {"default": Component("csp", [static_salt(directive), violation, blocked])}


def normalize_uri(text: str) -> str:
    """Return where a blocked URI points to.

    That is `'self'` for the page's own origin, the host for http and https, else `scheme://host`, or `scheme:` without a host.
    Browsers also report bare words, such as `data` and `inline`. They count as schemes.

    >>> normalize_uri("https://cdn.example/app.js"), normalize_uri("data")
    ('cdn.example', 'data:')
    """
    text = text[:MAX_URI_CHARS]
    if text in {"", "self", _LOCAL}:
        return _LOCAL
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


def _local_violation(directive: str) -> str | None:
    return next((violation for violation in _LOCAL_VIOLATIONS if violation in directive), None)


def _by_hostname(interface: Literal["hpkp", "expectct", "expectstaple"], id: str) -> Strategy:  # noqa: A002 -- the contract's name
    def strategy(event: Event, ctx: GroupingContext) -> Variants:
        del ctx
        report = event.get(interface)
        if not report:
            return {}
        return {"default": Component(id, [static_salt(id), Component("hostname", [report.get("hostname")])])}

    return strategy


by_hpkp = _by_hostname("hpkp", "hpkp")
by_expect_staple = _by_hostname("expectstaple", "expect-staple")
by_expect_ct = _by_hostname("expectct", "expect-ct")
