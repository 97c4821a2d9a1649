"""Filters by browser: errors of extensions, of old browsers, and of crawlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from pipeline.model.event import Event, ExceptionValue, frames_in
from pipeline.model.user_agent import CACHED, MAX_LENGTH, parse_user_agent

_EXTENSION_TEXTS = (
    "top.globals",
    "originalcreatenotification",
    "canvas.contentdocument",
    "myapp_removeallhighlights",
    "http://tt.epicplay.com",
    "http://loading.retry.widdit.com/",
    "can't find variable: zitereader",
    "jigsaw is not defined",
    "combosearch is not defined",
    "atomicfindclose",
    "fb_xd_fragment",
    "bmi_safeaddonload",
    "ebcallbackmessagereceived",
    "error _gcrweb",
    "conduitpage",
    "null is not an object (evaluating 'elt.parentnode')",
    "plugin.setsuspendstate is not a function",
    "extension context invalidated",
    "can't access dead object",
    "webkit-masked-url:",
    "cannot redefine property: solana",
    "cannot redefine property: ethereum",
    "cannot redefine property: googletag",
    "undefined is not an object (evaluating 'a.j')",
    "undefined is not an object (evaluating 'a.l')",
    'permission denied to access property "correspondinguseelement"',
    'permission denied to access property "document"',
)
"""Parts of the messages of extensions, toolbars, rewriting proxies, wallets and in-page translators, in lower case."""

_EXTENSION_SCHEMES = ("chrome://", "chrome-extension://", "moz-extension://", "safari-extension://", "safari-web-extension://")
_EXTENSION_HOSTS = (
    "webkit-masked-url",
    "graph.facebook.com",
    "connect.facebook.net",
    "eatdifferent.com.woopra-ns.com",
    "static.woopra.com/js/woopra.js",
    "127.0.0.1:4001/isrunning",
    "webappstoolbarba.texthelp.com/",
    "metrics.itunes.apple.com.edgesuite.net/",
    "kaspersky-labs.com",
)
"""Parts of the addresses of their scripts."""

_NO_SOURCE = frozenset({"<anonymous>", "[native code]"})

_CRAWLERS = re.compile(
    r"""
      Mediapartners-Google | AdsBot-Google | Googlebot | FeedFetcher-Google | Storebot-Google
    | BingBot | BingPreview | Baiduspider | Slurp | Sogou | facebook | meta- | ia_archiver | Slack
    | bots?(?:[/\s);]|$) | spider(?:[/\s);]|$)
    | Calypso\ AppCrawler | pingdom | lyticsbot | AWS\ Security\ Scanner | HubSpot\ Crawler | Bytespider
    | Better\ Uptime | Cloudflare-Healthchecks | GTmetrix | BrightEdgeOnCrawl | ELB-HealthChecker | naver\.me/spd
    | ClaudeBot | CCBot | OAI-SearchBot | GPTBot | PerplexityBot | Applebot | SemrushBot | YandexBot
    """,
    re.IGNORECASE | re.VERBOSE,
)
_WELCOME_CRAWLERS = re.compile(r"Slackbot\s1\.\d+ | SentryUptimeBot | ChatGPT-User", re.IGNORECASE | re.VERBOSE)

VersionTest = Callable[[int], bool]


def _below(major: int) -> VersionTest:
    return lambda found: found < major


def _is(major: int) -> VersionTest:
    return lambda found: found == major


LEGACY_OPTIONS: Mapping[str, Mapping[str, VersionTest]] = {
    "default": {"IE": _below(10), "Safari": _below(6), "Opera": _below(15), "Android": _below(4), "Opera Mini": _below(8)},
    "ie_pre_9": {"IE": _below(9)},
    "ie9": {"IE": _is(9)},
    "ie10": {"IE": _is(10)},
    "ie11": {"IE": _is(11)},
    "opera_pre_15": {"Opera": _below(15)},
    "opera_mini_pre_8": {"Opera Mini": _below(8)},
    "android_pre_4": {"Android": _below(4)},
    "safari_pre_6": {"Safari": _below(6)},
    "edge_pre_79": {"Edge": _below(79)},
    "ie": {"IE": _below(12)},
    "edge": {"Edge": _below(111)},
    "chrome": {"Chrome": _below(111)},
    "firefox": {"Firefox": _below(111)},
    "safari": {"Safari": _below(16)},
    "opera": {"Opera": _below(100)},
    "opera_mini": {"Opera Mini": _below(35)},
    "android": {"Android": _below(4)},
}
"""The browsers that each option drops: a test of the major version by browser family."""

_FAMILIES = {"IE Mobile": "IE"}


def is_extension_error(event: Event) -> bool:
    """Whether the first exception is one of an extension, by its message or by the address of its newest frame."""
    values = (event.get("exception") or {}).get("values")
    first: ExceptionValue | None = values[0] if values else None
    if first is None:
        return False
    value = first.get("value")
    if value and _contains_any(value.lower(), _EXTENSION_TEXTS):
        return True
    for frame in reversed(frames_in(first.get("stacktrace"))):
        source = frame.get("abs_path")
        if source and source not in _NO_SOURCE:
            source = source.lower()
            return source.startswith(_EXTENSION_SCHEMES) or _contains_any(source, _EXTENSION_HOSTS)
    return False


def _contains_any(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)


def is_crawler(header: str) -> bool:
    """Whether a User-Agent header is that of a crawler, a link preview or a health check."""
    return _is_crawler(header[:MAX_LENGTH])


@lru_cache(maxsize=CACHED)
def _is_crawler(header: str) -> bool:
    return _CRAWLERS.search(header) is not None and _WELCOME_CRAWLERS.search(header) is None


def is_legacy_browser(header: str, options: tuple[str, ...]) -> bool:
    """Whether a User-Agent header is that of a browser that one of the options drops. `default` replaces all other options."""
    agent = parse_user_agent(header)
    if agent.browser is None or agent.browser_major is None or not agent.browser_major.isdecimal():
        return False
    family = _FAMILIES.get(agent.browser, agent.browser)
    major = int(agent.browser_major)
    chosen = ("default",) if "default" in options else options
    return any(test(major) for option in chosen if (test := LEGACY_OPTIONS.get(option, {}).get(family)) is not None)
