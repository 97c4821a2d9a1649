"""Patterns: the forms of secrets and personal data, and quick tests that a text contains none.

Every built-in expression has bounded repeats or a fixed anchor, so that its time is linear in the text. Most texts have no run of
digits, no `@` and none of the words that the expressions begin with. `SearchedText` makes these tests cheap.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pipeline.scrubbing.linear_regex import Regex

_OCTET = r"(?:25[0-5]|2[0-4]\d|[01]?\d{1,2})"
_SHAPES = bytes(
    0x30 if 0x30 <= code <= 0x39 else 0x41 if 0x41 <= code <= 0x5A else 0x61 if 0x61 <= code <= 0x7A else code
    for code in range(256)
)
_SEPARATORS = b" \t\n\r-"


class SearchedText:
    """A text in forms that are quick to search: in lower case, and as its shape (digits as 0, letters as A and a).

    `shape` has a question mark for each character beyond ASCII. `digits` is the shape without blanks, newlines and dashes.
    """

    __slots__ = ("digits", "lower", "shape", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lower = text.lower()
        self.shape = text.encode("ascii", "replace").translate(_SHAPES)
        self.digits = self.shape.translate(None, _SEPARATORS)


MayMatch = Callable[[SearchedText], bool]
"""A quick test. It returns False only for texts that an expression cannot match."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression, and the part of the text that is hidden for a match: some `groups` of the match, or the `whole_text`.

    If `key` matches in the key of a value, the whole value is hidden, of any type. If `spared_key` matches there, the value is
    not searched. `accepts` decides about the text of each match, if an expression alone cannot.
    """

    regex: Regex
    groups: tuple[int, ...] = (0,)
    whole_text: bool = False
    key: Regex | None = None
    spared_key: Regex | None = None
    accepts: Callable[[str], bool] | None = None
    may_match: MayMatch = lambda _text: True


def _words(*words: str) -> MayMatch:
    def may_match(text: SearchedText) -> bool:
        lower = text.lower
        for word in words:  # noqa: SIM110 -- twice as quick as any(), and runs for every event
            if word in lower:
                return True
        return False

    return may_match


ANYTHING = Pattern(re.compile(r"[^\n]+"))
"""Each line of a text."""

WHOLE = Pattern(re.compile(r"(?s)."), whole_text=True)
"""The whole text."""

_IPV4 = rf"\b(?:{_OCTET}\.){{3}}{_OCTET}\b"
_HEX = r"[0-9a-fA-F]{1,4}"
_PUNCTUATION = r"\s!-/:-@\[-`{-~"
_IPV4_TAIL = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_COMPRESSED = "|".join(
    [
        *(rf"(?:{_HEX}:){{{before}}}(?::{_HEX}){{0,{5 - before}}}:{_IPV4_TAIL}" for before in range(1, 6)),
        *(rf"(?:{_HEX}:){{{before}}}(?::{_HEX}){{1,{7 - before}}}" for before in range(1, 7)),
    ]
)
"""Addresses with `::` inside, listed by the number of groups before it, so that an address is always matched as a whole."""
_IPV6 = rf"""
    (?:[{_PUNCTUATION}]|^)
    ( (?:{_HEX}:){{6}}(?:{_IPV4_TAIL}|{_HEX}:{_HEX})
    | {_COMPRESSED}
    | (?:{_HEX}:){{1,7}}:
    | :(?::{_HEX}){{0,5}}:{_IPV4_TAIL}
    | :(?::{_HEX}){{1,7}}
    | ::
    )
    (?=[{_PUNCTUATION}]|$)
"""

IBAN_COUNTRIES = (
    "AD|AE|AL|AO|AT|AZ|BA|BE|BF|BG|BH|BI|BJ|BR|BY|CF|CG|CH|CI|CM|CR|CV|CY|CZ|DE|DJ|DK|DO|DZ|EE|EG|ES|FI|FO|FR|GA|GB|GE|GI|GL|"
    "GQ|GR|GT|GW|HN|HR|HU|IE|IL|IQ|IR|IS|IT|JO|KM|KW|KZ|LB|LC|LI|LT|LU|LV|LY|MA|MC|MD|ME|MG|MK|ML|MR|MT|MU|MZ|NE|NI|NL|NO|PK|"
    "PL|PS|PT|QA|RO|RS|RU|SA|SC|SE|SI|SK|SM|SN|ST|SV|TD|TG|TL|TN|TR|UA|VA|VG|XK"
)

_TELLING_KEY = re.compile(
    r"(?i)password|secret|passwd|api[-_]key|apikey|auth|credentials|mysql_pwd|privatekey|private[-_]key|token|^otp\Z|^two[-_]factor\Z"
)

_SCHEME = r"\b(?<![a-z0-9+-])[a-z0-9+-]{1,50}://"
_NAME = r"[a-zA-Z0-9%_.-]+"

URL_PASSWORD = Pattern(
    re.compile(rf"{_SCHEME}{_NAME}:({_NAME})@"),
    (1,),
    may_match=lambda text: "://" in text.text and "@" in text.text,
)

_USER_PATH = r"(?i)(?:\b(?:users|home)|(?<![^/\\\s])[^/\\\s]++[/\\]profiles)[/\\]([^/\\\r\n]+)"
_LOCAL_PART = r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]"
_EMAIL = rf"(?<!{_LOCAL_PART}){_LOCAL_PART}{{1,254}}@[a-zA-Z0-9-]{{1,63}}(?:\.[a-zA-Z0-9-]{{1,63}}){{1,20}}\b"
_PEM_EDGE = r"[A-Z ]{1,50}(?:PRIVATE|PUBLIC) KEY-----"
_PEM_KEY = rf"(?s)-----BEGIN{_PEM_EDGE}[\t ]{{0,50}}\r?\n?((?:(?!-----BEGIN).)+?)\r?\n?-----END{_PEM_EDGE}"

_TELLING = (
    r"(?i)password|secret|passwd|api[-_]key|apikey|auth|credentials|mysql_pwd|privatekey|private[-_]key"
    r"|token(?:(?!token)[^\s:=]){0,1000}[:=]|^otp\Z|^two[-_]factor\Z|\bbearer\s+[^\s]"
)
_TELLING_WORDS = (
    "password", "secret", "passwd", "api_key", "api-key", "apikey", "auth", "credentials", "mysql_pwd", "privatekey",
    "private_key", "private-key", "token", "bearer", "otp", "two-factor", "two_factor",
)  # fmt: skip

_KINDS: dict[str, tuple[Pattern, ...]] = {
    "imei": (Pattern(re.compile(r"\b\d{2}-?\d{6}-?\d{6}-?\d{1,2}\b"), may_match=lambda text: b"0" * 14 in text.digits),),
    "mac": (
        Pattern(
            re.compile(r"\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b"),
            may_match=lambda text: "-" in text.text or ":" in text.text,
        ),
    ),
    "uuid": (Pattern(re.compile(r"\b[a-zA-Z0-9]{8}-?(?:[a-zA-Z0-9]{4}-?){3}[a-zA-Z0-9]{12}\b")),),
    "email": (Pattern(re.compile(_EMAIL), may_match=lambda text: "@" in text.text),),
    "ip": (
        Pattern(re.compile(_IPV6, re.VERBOSE), (1,), may_match=lambda text: ":" in text.text),
        Pattern(re.compile(_IPV4), may_match=lambda text: b"0." in text.shape),
    ),
    "creditcard": (
        Pattern(
            re.compile(r"\b(?:3[47]\d|4\d{3}|5[1-5]\d\d|65\d\d|6011)(?:[-\s]?\d){12}\b"),
            may_match=lambda text: b"0" * 15 in text.digits,
        ),
    ),
    "iban": (
        Pattern(
            re.compile(rf"\b(?:{IBAN_COUNTRIES})\d{{2}}[a-zA-Z0-9]{{11,29}}\b"),
            may_match=lambda text: b"AA00" in text.shape,
        ),
    ),
    "userpath": (Pattern(re.compile(_USER_PATH), (1,), may_match=_words("users", "home", "profiles")),),
    "pemkey": (
        Pattern(re.compile(_PEM_KEY), (1,), may_match=lambda text: "-----BEGIN" in text.text and "-----END" in text.text),
    ),
    "url_auth": (
        Pattern(
            re.compile(rf"{_SCHEME}({_NAME}(?::{_NAME})?)@"),
            (1,),
            may_match=lambda text: "://" in text.text and "@" in text.text,
        ),
    ),
    "us_ssn": (Pattern(re.compile(r"\b\d{3}-\d{2}-\d{4}\b"), may_match=lambda text: b"000-00-0000" in text.shape),),
    "bearer": (Pattern(re.compile(r"(?i)\bbearer\s+[^\s]+"), may_match=_words("bearer")),),
    "password": (Pattern(re.compile(_TELLING), whole_text=True, key=_TELLING_KEY, may_match=_words(*_TELLING_WORDS)),),
}

PATTERNS: Mapping[str, tuple[Pattern, ...]] = _KINDS | dict.fromkeys(("anything", "cookies", "unknown"), ())
"""Patterns by rule type. `anything` takes whole values, and `pattern` and `redact_pair` have patterns of their own."""


def careful_patterns(patterns: tuple[Pattern, ...]) -> tuple[Pattern, ...]:
    """Return the patterns that rule files use instead of Relay's (docs/spec/scrubbing.md, "Other than Relay").

    They leave alone what only looks like a secret. A kind without such patterns keeps those of `PATTERNS`.
    """
    return next((careful for kind, careful in _CAREFUL.items() if patterns is PATTERNS[kind]), patterns)


_GROUPED_CARD = re.compile(r"\d{4}(?:[-\s]\d{4}){3}|3[47]\d\d[-\s]\d{6}[-\s]\d{5}")


def is_card_number(text: str) -> bool:
    """Whether the digits are grouped as on a card, or their check sum (Luhn) is right. Nine of ten other ids fail both.

    >>> is_card_number("4111111111111111"), is_card_number("4111111111111112"), is_card_number("4111 1111 1111 1112")
    (True, False, True)
    """
    if _GROUPED_CARD.fullmatch(text) is not None:
        return True
    digits = [int(character) for character in reversed(text) if character.isdecimal()]
    doubled = (2 * digit for digit in digits[1::2])
    return (sum(digits[::2]) + sum(digit - 9 if digit > 9 else digit for digit in doubled)) % 10 == 0


_WORD = r"(?:password|passwd|secret|api[-_]?key|credentials?|mysql_pwd|private[-_]?key|(?<!unexpected\ )token)[\w\[\]-]{0,50}"
_STATUS = (
    "(?:expired|invalid|missing|required|incorrect|wrong|denied|failed|not|is|was|too|must|cannot"
    "|null|none|nil|undefined|ok|true|false|yes|no|include|omit|same-origin)"
)
"""Words that are no secret after a word and a colon, as in `token: expired`."""
_NO_TOKEN = rf"(?:tokens?|auth\w*|of|schemes?|headers?|realm|errors?|credentials?|and|or|for|in|{_STATUS})"
"""Words that are no token after `bearer`."""
_BEARER = rf"\bbearer\s+(?!{_NO_TOKEN}\b[.,;:!?)\"']{{0,3}}(?:\s|$))[^\s]+"
_AUTH = r"auth(?!or(?!i[sz]ation)|enticat)[\w-]{0,50}"
_QUOTE = r"\\{0,4}[\"']"
_TELLING_FORMS = rf"""(?ix)
    {_WORD} (?:{_QUOTE})? \]? \s{{0,5}} (?:=>|=|%3[ad]|:(?!\s+{_STATUS}\b)) \s{{0,5}} \S  # password=x, 'token': 'x'
  | {_WORD} {_QUOTE} \s{{0,5}} , \s{{0,5}} {_QUOTE}                              # ["X-Api-Key", "x"]
  | <[\w:-]{{0,50}} (?<=[<\w:-]) {_WORD} (?:\s[^<>]{{0,200}})? > [^<\s]         # <password>x
  | (?<![\w-]) --? [\w-]{{0,50}}? {_WORD} \s+ [^\s-]                           # --password x
  | (?:password|passwd|secret) \s{{1,3}} {_QUOTE} [^\s"']{{3}}                    # password 'xyz'
  | {_AUTH} (?: {_QUOTE} \]? \s{{0,5}} (?::|=>|,) | \s{{0,3}} = | %3d) \s{{0,5}} \S  # auth=x, "Authorization": "x"
  | authori[sz]ation \s{{0,5}} : \s{{0,5}} \S                                    # Authorization: x
  | {_BEARER}
"""
"""Forms of a word for a secret with a secret beside it. The word alone does not hide a text."""

_CAREFUL_TELLING_KEY = (
    r"(?i)password|secret|passwd|api[-_]key|apikey|auth(?!or(?!i[sz]))|credentials|mysql_pwd|privatekey|private[-_]key|token"
    r"|^otp\Z|^two[-_]factor\Z"
)
"""Like Relay's pattern, but without `author` and `authority`."""

_VERSION_KEY = r"(?i)(?:version|release|revision|firmware|build)(?:s|[-_]?(?:name|number|code|string|tag|id))?\Z"
_FILE = r"jar|war|dll|so|zip|tgz|tar|gz|whl|gem|exe|msi|deb|rpm|apk|ipa|pkg|dmg|nupkg|js|css|map"
_NOT_LONGER = rf"(?!\.\d|\.(?:{_FILE})\b)"
_OF_A_VERSION = (
    r"(?:(?i:\b(?:version|ver|v|release|rev|revision|build|firmware|upgrade[ds]?|downgrade[ds]?|chrome|chromium|firefox|safari|opera"
    r"|electron))[\s:=\"'./(]{1,4}(?:(?:from|to|is|number)\s)?v?|\b[A-Z][A-Za-z]{1,40}/|[=~<>!]=\s?|[~^])"
)
_CAREFUL_IPV4 = (
    rf"{_OF_A_VERSION}{_IPV4_TAIL}(?:\s?(?:to|and|or|->|,|-)\s?v?{_IPV4_TAIL})?\b"
    rf"|(?<!\d\.)\b({_IPV4_TAIL})\b{_NOT_LONGER}"
)
"""Addresses in group 1. Versions of four numbers are matched first and have no group."""

_CAREFUL: dict[str, tuple[Pattern, ...]] = {
    "creditcard": (replace(_KINDS["creditcard"][0], accepts=is_card_number),),
    "bearer": (Pattern(re.compile(f"(?i){_BEARER}"), may_match=_words("bearer")),),
    "password": (
        Pattern(
            re.compile(_TELLING_FORMS), whole_text=True, key=re.compile(_CAREFUL_TELLING_KEY), may_match=_words(*_TELLING_WORDS)
        ),
    ),
    "ip": (
        _KINDS["ip"][0],
        replace(_KINDS["ip"][1], regex=re.compile(_CAREFUL_IPV4), groups=(1,), spared_key=re.compile(_VERSION_KEY)),
    ),
}
