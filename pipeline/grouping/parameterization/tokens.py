"""Tokens: generated values in messages, such as ids, hashes and names of temporary files.

They are replaced before the numbers, addresses and dates of the other patterns, since those would replace parts of them. Parts
that tell what happened stay: the kind of an id (`cus_`), the name of a file, the keys of JSON, React's error numbers. See
docs/spec/grouping.md, "Messages".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pipeline.grouping.parameterization.patterns_2023 import PATTERNS as PATTERNS_2023

MIN_RANDOM_CHARS = 8
"""Shorter texts are never taken for random ones."""

MAX_KEY_CHARS = 32
"""How far back the key of a JSON value is searched. The keys that matter are short."""

_TELLING_KEYS = frozenset(
    {"event", "error", "message", "msg", "type", "kind", "code", "reason", "exception", "title", "status", "level", "name"}
)
"""Keys of JSON whose values tell what happened. Such a value is kept, and the patterns look into it."""

_WORDS = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
_UNSPEAKABLE = re.compile(r"[^aeiouy]{4}", re.IGNORECASE)
_VOWELS = frozenset("aeiouyAEIOUY")
_CHANGES = re.compile(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])")
_ONLY_HEX = re.compile(r"[0-9a-fA-FxX_-]+")
_ASSET = re.compile(
    r"(.*?[^./-])[.-]([A-Za-z0-9_-]{6,64})((?:\.(?:min|chunk|bundle|esm|module|prod|worker|legacy))*\.\w{2,5}(?:\.map)?)",
    re.DOTALL,
)
_MIXED_HEX = re.compile(r"(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}|(?=[A-F]*\d)(?=\d*[A-F])[0-9A-F]{8,}")
_HASH_LENGTHS = frozenset({8, *range(16, 23)})
"""The lengths of the hashes of letters and digits that bundlers make."""
_NOT_AN_ID = frozenset({"error", "err", "code", "status", "errno", "http", "exit", "signal", "sha", "utf", "iso", "base", "tls"})
"""Words after which a number (`_123`) is no id, but tells what happened or names an algorithm."""


def looks_random(text: str) -> bool:
    """Whether a text of letters and digits was most likely generated, and not written by a person.

    Letters and digits alternate in it, and little of it can be read as words.
    Hexadecimal texts are left to other patterns.

    >>> looks_random("NffrFeUfNV2Hib"), looks_random("Base64EncoderV2Helper"), looks_random("checkout-settings")
    (True, False, False)
    """
    if len(text) < MIN_RANDOM_CHARS or _ONLY_HEX.fullmatch(text):
        return False
    letters = sum(map(str.isalpha, text))
    if letters < 3:
        return False
    changes = len(_CHANGES.findall(text))
    if changes < (2 if text != text.lower() and text != text.upper() else 4):
        return False
    return _readable(text) < 0.4


def _readable(text: str) -> float:
    """Return how much of a text can be read as words, from 0 to 1."""
    words = [word for word in _WORDS.findall(text) if (len(word) > 3 or word.isupper()) and _can_be_spoken(word)]
    return sum(map(len, words)) / len(text)


def _can_be_spoken(word: str) -> bool:
    return not _VOWELS.isdisjoint(word) and _UNSPEAKABLE.search(word) is None


def _has_inner_capitals(text: str) -> bool:
    return text != text.lower() and text[1:] != text[1:].lower() and text != text.upper()


def _json_value(match: re.Match[str]) -> str | None:
    before = match.string[max(match.start() - MAX_KEY_CHARS, 0) : match.start()].rstrip(" :")
    key = before[before.rfind(before[-1:], 0, -1) + 1 : -1]
    return None if key.lower() in _TELLING_KEYS else "<json_value>"


def _temporary(match: re.Match[str]) -> str | None:
    folder, name = match["folder"], match["temporary_name"]
    is_made = any(map(str.isdigit, name)) or re.fullmatch(r"tmp\w{6,10}|php\w{6}|tmp\.\w+", name) is not None
    return f"{folder}<temporary>" if is_made or match["mac_folder"] else None


def _asset(match: re.Match[str]) -> str | None:
    found = _ASSET.fullmatch(match[0])
    if found is None or not _is_content_hash(found[2]):
        return None
    return f"{found[1]}.<hash>{found[3]}"


def _is_content_hash(text: str) -> bool:
    if re.fullmatch(r"(?=[a-f]*\d)[0-9a-f]{6,64}|(?=[A-F]*\d)[0-9A-F]{6,64}", text):
        return True
    if len(text) not in _HASH_LENGTHS:
        return False
    return looks_random(text) or (_has_inner_capitals(text) and _readable(text) < 0.6)


def _prefixed(match: re.Match[str]) -> str | None:
    prefix, random_part = match["id_prefix"], match["id_rest"]
    is_mixed = len(random_part) >= 12 and _has_inner_capitals(random_part) and _readable(random_part) < 0.6
    is_short = len(random_part) < MIN_RANDOM_CHARS and len(_CHANGES.findall(random_part)) >= 3
    if is_mixed or is_short or looks_random(random_part) or _MIXED_HEX.fullmatch(random_part):
        return f"{prefix}<random_id>"
    return "<random_id>" if len(match[0]) >= 16 and looks_random(match[0]) else None


def _numbered(match: re.Match[str]) -> str | None:
    return None if match["numbered_word"] in _NOT_AN_ID else f"{match['numbered_word']}_<int>"


def _random(match: re.Match[str]) -> str | None:
    return "<random_id>" if looks_random(match[0]) else None


def _named(kind: str) -> Callable[[re.Match[str]], str]:
    return lambda _: f"<{kind}>"


def _kept(_: re.Match[str]) -> None:
    return None


_STRING = r"""(?:(?:true|false|null)\b|"(?:[^"\\]|\\.)*+(?:"|$)|'(?:[^'\\]|\\.)*+(?:'|$))"""

KINDS: Mapping[str, tuple[str, Callable[[re.Match[str]], str | None]]] = {
    "minified_error": (r"\bMinified[ ](?:\w+[ ])?[eE]rror[ ]\#\d+", _kept),
    "json_value": (rf"""(?:(?<=["']:)|(?<=["']:\ )|(?<=["']\ :\ )){_STRING}""", _json_value),
    "url": (PATTERNS_2023["url"], _kept),
    "jwt": (r"\beyJ[\w-]{4,}+\.[\w-]{4,}+(?:\.[\w-]*+)*", _named("jwt")),
    "ulid": (r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b", _named("ulid")),
    "access_key": (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b", _named("access_key")),
    "react_key": (r"(?<!\w)(?P<react>__react\w{3,40}\$)[0-9a-z]++", lambda match: f"{match['react']}<random_id>"),
    "temporary": (
        (
            r"(?P<folder>/(?:private/)?(?:var/)?tmp/|(?P<mac_folder>/(?:private/)?var/folders/\w\w/)|[\\/](?:Temp|TEMP|temp)[\\/]{1,2})"
            r"(?P<temporary_name>[^\s/\\'\"`:,;)\]>]+)"
        ),
        _temporary,
    ),
    "asset": (
        r"(?<![\w@-])\w[\w.~-]*+(?<=\.js|css|map|mjs|cjs|jsx|tsx|asm|ff2|off|png|jpg|svg|gif|ebp|son|\.ts|vue|ttf|ico)",
        _asset,
    ),
    "pod": (
        r"(?<![\w./-])(?P<pod_name>[a-z][a-z0-9-]{0,60}?)-[0-9a-f]{8,10}-[a-z0-9]{5}(?![\w-])",
        lambda match: f"{match['pod_name']}-<random_id>",
    ),
    "numbered": (r"(?<![\w./-])(?P<numbered_word>[a-z]{2,16})_\d{3,}+(?![\w.])", _numbered),
    "prefixed_id": (
        r"(?<![\w./-])(?P<id_prefix>[A-Za-z]{1,16}[_-](?:[a-z]{2,10}[_-]){0,3})(?P<id_rest>[A-Za-z0-9]{6,}+)(?![\w@-])",
        _prefixed,
    ),
    "random_id": (r"(?<![\w./-])(?=[A-Za-z_+-]*\d)[A-Za-z0-9][\w-]{7,}+(?![\w@-]|[.]\w)", _random),
}
"""The kinds by name, in order of preference. Each has a pattern, and a function that returns the replacement of a match, or
None to keep it."""

_START = r"""(?=(?<!\w)(?:M|(?:true|false|null)\b|\d\w|\w[^\s\d_$:.-]{0,40}[\d_$:.-])|["'/\\])"""
"""Every kind begins with a word that has more than letters in it, at a quote or at a slash. Other places cost one look."""

_MIXED = re.compile(r"[A-Za-z_$]\d|\d[A-Za-z]|[_-][A-Za-z0-9]{6}", re.ASCII)
_SIGNS = (
    '":',
    "':",
    '" :',
    "' :",
    "/tmp/",  # noqa: S108 -- a piece of a message
    "Temp",
    "TEMP",
    "temp",
    "/folders/",
    "Minified",
)


def _may_hold(text: str) -> bool:
    """Whether a text may have a token. It saves most messages the search."""
    return _MIXED.search(text) is not None or any(sign in text for sign in _SIGNS)


class TokenReplacer:
    """Replaces tokens in one pass. The kinds in `kept` are found and left as they are."""

    kinds = frozenset(KINDS)

    def __init__(self, kept: frozenset[str] = frozenset()) -> None:
        alternatives = "|".join(f"(?P<{kind}>{pattern})" for kind, (pattern, _) in KINDS.items())
        self._pattern = re.compile(f"{_START}(?:{alternatives})", re.VERBOSE)
        self._renders = {kind: _kept if kind in kept else render for kind, (_, render) in KINDS.items()}

    def __call__(self, text: str) -> str:
        """Return the text with tokens replaced."""
        return self._pattern.sub(self._replace, text) if _may_hold(text) else text

    def _replace(self, match: re.Match[str]) -> str:
        replaced = self._renders[match.lastgroup or ""](match)
        return match[0] if replaced is None else replaced
