"""Normalizes SDK names for rules. Former package names of an SDK become its name of today, and most frameworks are left out."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\W_]+")

_SYNONYMS = {
    "sentry.android": "sentry.java.android",
    "sentry.aspnetcore": "sentry.dotnet.aspnetcore",
    "sentry.electron": "sentry.javascript.electron",
    "sentry.javascript.angular.ivy": "sentry.javascript.angular",
    "sentry.javascript.node.experimental": "sentry.javascript.node",
    "sentry.javascript.react.expo": "sentry.javascript.react",
    "sentry.javascript.react.native.expo": "sentry.javascript.react.native",
    "sentry.laravel": "sentry.php.laravel",
    "sentry.nextjs": "sentry.javascript.nextjs",
    "sentry.node": "sentry.javascript.node",
    "sentry.rails": "sentry.ruby.rails",
    "sentry.react": "sentry.javascript.react",
    "sentry.symfony": "sentry.php.symfony",
    "sentry.unity": "sentry.native.unity",
    "sentry.unreal": "sentry.native.unreal",
}

_KNOWN = frozenset(
    {
        "cocoa",
        "dart",
        "dotnet",
        "elixir",
        "erlang",
        "go",
        "godot",
        "java",
        "javascript",
        "kotlin",
        "native",
        "perl",
        "php",
        "powershell",
        "python",
        "ruby",
        "rust",
        "swift",
    }
)


def normalize_sdk_name(name: str | None) -> str:
    """Return the SDK's name as rules see it: `sentry.<language>`, and `other` for None and for unknown SDKs.

    JavaScript SDKs keep all further parts of the name, and native SDKs keep one.

    >>> normalize_sdk_name("sentry.python.flask"), normalize_sdk_name("sentry.javascript.react.native")
    ('sentry.python', 'sentry.javascript.react.native')
    >>> normalize_sdk_name("sentry.native.unity.ios")
    'sentry.native.unity'
    """
    if name is None:
        return "other"
    name = _SEPARATORS.sub(".", name[:200])
    parts = _SYNONYMS.get(name, name).split(".")
    if len(parts) < 2 or parts[0] != "sentry" or parts[1] not in _KNOWN:
        return "other"
    if parts[1] == "javascript":
        return ".".join(parts)
    return ".".join(parts[: 3 if parts[1] == "native" else 2])
