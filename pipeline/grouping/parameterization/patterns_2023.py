"""The patterns of `newstyle:2023-01-11`, with the oddities that hashes depend on. See docs/spec/grouping.md, "Messages"."""

from __future__ import annotations

from pipeline.grouping.parameterization import dates

_H = "[0-9a-fA-F]{1,4}"
_BYTE = "(?:25[0-5]|(?:2[0-4]|1?[0-9])?[0-9])"
IPV4 = rf"(?:{_BYTE}\.){{3}}{_BYTE}"

_IPV6_FORMS = rf"""
    (?:{_H}:){{7}}{_H}
  | (?:{_H}:){{1,7}}:
  | (?:{_H}:){{1,6}}:{_H}
  | (?:{_H}:){{1,5}}(?::{_H}){{1,2}}
  | (?:{_H}:){{1,4}}(?::{_H}){{1,3}}
  | (?:{_H}:){{1,3}}(?::{_H}){{1,4}}
  | (?:{_H}:){{1,2}}(?::{_H}){{1,5}}
  | {_H}:(?::{_H}){{1,6}}
  | :(?:(?::{_H}){{1,7}}|:)
  | fe80:(?::[0-9a-fA-F]{{0,4}}){{0,4}}%[0-9a-zA-Z]+
  | ::(?:ffff(?::0{{1,4}})?:)?{IPV4}
  | (?:{_H}:){{1,4}}:{IPV4}\b
"""
"""The first form that fits wins, even if a later one would match more. The text around it does not matter."""

_MAY_BE_IPV6 = rf"(?=::|(?:{_H}:){{1,6}}+(?::|{_H}:[0-9a-fA-F:])|fe80:)"
"""A cheap look-ahead that every form satisfies. It saves trying eleven forms at most places, above all of hostile texts."""

IPV6 = rf"{_MAY_BE_IPV6}(?:{_IPV6_FORMS})"

START = rf"""
    (?=[-=:\da-fA-FwhSMTWJNO])  # one look at a character excludes most places of a text
    (?:[-=:\d] | [a-fA-F][0-9a-fA-F]{{0,3}}: | \b[a-fA-F][0-9a-fA-F]{{7}} | \b(?:ws|http|ftp) | {dates.START})
"""
"""A pattern that every match begins with, so that most places of a text cost one try instead of two dozen."""

PATTERNS = {
    "url": r"\b(?:wss?|https?|ftp)://[^\s/$.?#].\S*",
    "ip": rf"{IPV6}|\b{IPV4}\b",
    "uuid": r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    "sha1": r"\b[0-9a-fA-F]{40}\b",
    "md5": r"\b[0-9a-fA-F]{32}\b",
    "date": dates.ANY,
    # Each of the two forms has the word boundary at one end only.
    "duration": r"\b\d+ms|\d(?:\.\d+)?s\b",
    "hex": r"\b0[xX][0-9a-fA-F]+\b",
    "float": r"-\d+\.\d+\b|\b\d+\.\d+\b",
    "int": r"-\d+\b|\b\d+\b",
    "quoted_str": r"""='[^']+'|="[^"]+\"""",
    "bool": r"=(?:True|true|False|false)",
}
