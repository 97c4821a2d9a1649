"""Security reports: content security policy, certificate pinning and transparency (spec/grouping.md, section 4.5)."""

from __future__ import annotations

from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.csp_uri import normalize_uri
from pipeline.grouping.strategies.context import GroupingContext, Strategy, Variants, static_salt, text_of

_LOCAL = "'self'"
_LOCAL_VIOLATIONS = ("'unsafe-inline'", "'unsafe-eval'")


def csp(event: dict[str, Any], ctx: GroupingContext) -> Variants:
    """Group by directive, and by what was blocked; for a script of the page itself by the way it was embedded."""
    del ctx
    report = event.get("csp")
    if not isinstance(report, dict) or not report:
        return {}
    directive = text_of(report, "effective_directive")
    uri = normalize_uri(text_of(report, "blocked_uri") or "")
    broken = (
        _local_violation(text_of(report, "violated_directive") or "") if directive == "script-src" and uri == _LOCAL else None
    )
    if broken:
        violation = Component("violation", [broken])
        blocked = Component("uri", [uri], contributes=False, hint="violation takes precedence")
    else:
        violation = Component("violation", contributes=False, hint="not a local script violation")
        blocked = Component("uri", [uri])
    return {"default": Component("csp", [static_salt(directive), violation, blocked])}


def _local_violation(directive: str) -> str | None:
    return next((violation for violation in _LOCAL_VIOLATIONS if violation in directive), None)


def _by_hostname(interface: str, id: str) -> Strategy:  # noqa: A002 -- the contract's name
    def strategy(event: dict[str, Any], ctx: GroupingContext) -> Variants:
        del ctx
        report = event.get(interface)
        if not isinstance(report, dict) or not report:
            return {}
        return {"default": Component(id, [static_salt(id), Component("hostname", [text_of(report, "hostname")])])}

    return strategy


hpkp = _by_hostname("hpkp", "hpkp")
expect_staple = _by_hostname("expectstaple", "expect-staple")
expect_ct = _by_hostname("expectct", "expect-ct")
