"""Patterns: the forms of secrets and personal data, and a quick test that a text contains none.

Every built-in expression has bounded repeats or a fixed anchor, so that its time is linear in the text. Most texts have no
run of digits, no `@` and none of the words that the expressions begin with. `SearchedText` finds that out cheaply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
"""Returns False only for texts that an expression cannot match."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression, and which part of the text a match hides: some `groups` of the match, or the `whole_text`.

    If `key` matches somewhere in the key of a value, the whole value is hidden, whatever it is.
    """

    regex: Regex
    groups: tuple[int, ...] = (0,)
    whole_text: bool = False
    key: Regex | None = None
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
"""Addresses with `::` inside, by the number of groups before it, so that an address is always matched as a whole."""
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
