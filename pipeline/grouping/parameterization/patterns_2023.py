"""The patterns of `newstyle:2023-01-11`, oddities included: its hashes depend on them (spec/grouping.md, sections 4.6 and 7)."""

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
"""The first form that fits wins, also where a later one is longer; none of them minds what stands around it."""

_MAY_BE_IPV6 = rf"(?=::|(?:{_H}:){{1,6}}+(?::|{_H}:[0-9a-fA-F:])|fe80:)"
"""What every form begins with: a cheap look ahead that spares most of a text, and hostile ones above all, eleven tries."""

IPV6 = rf"{_MAY_BE_IPV6}(?:{_IPV6_FORMS})"

START = rf"""
    (?=[-=:\da-fA-FwhSMTWJNO])  # one look at a character rules out most of a text
    (?:[-=:\d] | [a-fA-F][0-9a-fA-F]{{0,3}}: | \b[a-fA-F][0-9a-fA-F]{{7}} | \b(?:ws|http|ftp) | {dates.START})
"""
"""What every match begins with, so that most places of a text cost one try and not two dozen."""

PATTERNS = {
    "url": r"\b(?:wss?|https?|ftp)://[^\s/$.?#].\S*",
    "ip": rf"{IPV6}|\b{IPV4}\b",
    "uuid": r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    "sha1": r"\b[0-9a-fA-F]{40}\b",
    "md5": r"\b[0-9a-fA-F]{32}\b",
    "date": dates.ANY,
    # The word boundary of each end belongs to one of the two forms only.
    "duration": r"\b\d+ms|\d(?:\.\d+)?s\b",
    "hex": r"\b0[xX][0-9a-fA-F]+\b",
    "float": r"-\d+\.\d+\b|\b\d+\.\d+\b",
    "int": r"-\d+\b|\b\d+\b",
    "quoted_str": r"""='[^']+'|="[^"]+\"""",
    "bool": r"=(?:True|true|False|false)",
}
