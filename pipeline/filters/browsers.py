"""Filters by browser: errors of extensions, of old browsers, and of crawlers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from pipeline.model.event import Event, ExceptionValue
from pipeline.model.user_agent import CACHED, MAX_LENGTH, parse_user_agent

_INJECTED_NAMES = "jigsaw|combosearch|zitereader|darkreader|_autofillcallbackhandler|gmo|__firefox__"
_INJECTED = re.compile(rf"(?<![\w$.])(?:{_INJECTED_NAMES}) is not defined|can't find variable: (?:{_INJECTED_NAMES})(?![\w$])")
"""Errors about variables of injected scripts, in lower case: in the words of Chrome and Firefox, and in those of Safari."""

_WALLET_NAMES = ("solana", "ethereum", "googletag")
"""Properties that wallets and ad blockers define on the page's window, in lower case."""

_EXTENSION_TEXTS = (
    "top.globals",
    "originalcreatenotification",
    "canvas.contentdocument",
    "myapp_removeallhighlights",
    "http://tt.epicplay.com",
    "http://loading.retry.widdit.com/",
    "atomicfindclose",
    "fb_xd_fragment",
    "bmi_safeaddonload",
    "ebcallbackmessagereceived",
    "_gcrweb",
    "conduitpage",
    "null is not an object (evaluating 'elt.parentnode')",
    "plugin.setsuspendstate is not a function",
    "(evaluating 'plugin.setsuspendstate(",
    "extension context invalidated",
    "invalid call to runtime.sendmessage()",
    "could not establish connection. receiving end does not exist",
    "can't access dead object",
    "webkit-masked-url:",
    "undefined is not an object (evaluating 'a.j')",
    "undefined is not an object (evaluating 'a.l')",
    "evaluating 'window.__firefox__",
    'permission denied to access property "correspondinguseelement"',
    'permission denied to access property "document"',
    *(
        text
        for name in _WALLET_NAMES
        for text in (
            f"cannot redefine property: {name}",
            f'can\'t redefine non-configurable property "{name}"',
            f"cannot assign to read only property '{name}'",
            f"cannot set property {name} of #<window> which has only a getter",
            f'setting getter-only property "{name}"',
        )
    ),
)
"""Parts of the messages of extensions, toolbars, rewriting proxies, wallets and in-page translators, in lower case.

Chrome, Firefox and Safari (which includes every browser on iOS) word the same error differently. Safari does not name the
property that cannot be redefined, so its message is not listed, because the page's own errors have the same.
"""

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
"""Parts of the addresses of scripts of extensions."""

_NO_SOURCE = frozenset({"<anonymous>", "[native code]"})

_CRAWLERS = re.compile(
    r"""
      Mediapartners-Google | AdsBot-Google | Googlebot | FeedFetcher-Google | Storebot-Google | Google-InspectionTool
    | GoogleOther | Google-Read-Aloud | GoogleImageProxy | Chrome-Lighthouse
    | BingBot | BingPreview | Baiduspider | Slurp | Sogou | (?<!com\.)facebook | meta- | ia_archiver | Slack
    | Calypso\ AppCrawler | pingdom | lyticsbot | AWS\ Security\ Scanner | HubSpot\ Crawler | Bytespider
    | Better\ Uptime | UptimeRobot | Uptime-Kuma | StatusCake | Site24x7 | NewRelicPinger | DatadogSynthetics
    | Cloudflare-Healthchecks | ELB-HealthChecker | GoogleHC/ | kube-probe/
    | GTmetrix | BrightEdgeOnCrawl | naver\.me/spd | SkypeUriPreview | Embedly | Iframely
    | ClaudeBot | Claude-Web | anthropic-ai | CCBot | OAI-SearchBot | GPTBot | PerplexityBot | Amazonbot | Amzn-SearchBot
    | Applebot | cohere-ai | Diffbot | PetalBot | SemrushBot | AhrefsBot | YandexBot | DuckAssistBot
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Names of crawlers, link previews and health checks, which count anywhere in the header."""

_CRAWLER_WORDS = re.compile(r"(?:bots?|spider|crawler)(?:[/\s);]|$)", re.IGNORECASE)
"""Endings of names of other crawlers, which do not count inside the name of a device."""

_DEVICE = re.compile(r"\([^()]*\bAndroid\b[^()]*\)")
"""The part of a User-Agent header that names an Android device, such as `(Linux; Android 9; CUBOT X19 Build/PPR1)`."""

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
"""The browsers that each option drops: by browser family, a test of the major version."""

_FAMILIES = {"IE Mobile": "IE"}


def is_extension_error(event: Event) -> bool:
    """Whether the first exception comes from a browser extension, by its message or by the address of its newest frame.

    Frames of native and anonymous code are skipped. A frame without a path ends the search.
    """
    values = (event.get("exception") or {}).get("values")
    first: ExceptionValue | None = values[0] if values else None
    if first is None:
        return False
    value = first.get("value")
    lowered = value.lower() if value else ""
    if _contains_any(lowered, _EXTENSION_TEXTS) or _INJECTED.search(lowered) is not None:
        return True
    for frame in reversed((first.get("stacktrace") or {}).get("frames") or ()):
        source = (frame.get("abs_path") or frame.get("filename")) if frame else None
        if not source:
            return False
        if source not in _NO_SOURCE:
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
    if _WELCOME_CRAWLERS.search(header) is not None:
        return False
    return _CRAWLERS.search(header) is not None or _CRAWLER_WORDS.search(_DEVICE.sub(_without_device, header)) is not None


def _without_device(match: re.Match[str]) -> str:
    """Remove the name of a device, unless a crawler says there that it is compatible with one."""
    part = match[0].lower()
    return match[0] if "compatible" in part or "http" in part else ""


def is_legacy_browser(header: str, options: tuple[str, ...]) -> bool:
    """Whether a User-Agent header is that of a browser that one of the options drops. `default` replaces all other options."""
    agent = parse_user_agent(header)
    if agent.browser is None or agent.browser_major is None or not agent.browser_major.isdecimal():
        return False
    family = _FAMILIES.get(agent.browser, agent.browser)
    major = int(agent.browser_major)
    chosen = ("default",) if "default" in options else options
    return any(test(major) for option in chosen if (test := LEGACY_OPTIONS.get(option, {}).get(family)) is not None)
