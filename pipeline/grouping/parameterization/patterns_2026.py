"""The patterns of `pipeline:2026-11-22`: more kinds than in 2023, and matches that end where a word ends.

In `std::vector`, for example, there is no address. The set has an order of its own, and takes single patterns from 2023's.
"""

from __future__ import annotations

from pipeline.grouping.parameterization import dates
from pipeline.grouping.parameterization.patterns_2023 import IPV4, IPV6
from pipeline.grouping.parameterization.patterns_2023 import PATTERNS as PATTERNS_2023

_LABEL = r"[a-zA-Z0-9-]{1,63}\."
_ENDINGS = "com|net|org|edu|gov|biz|eu|uk|de|fr|nl|ch|se|pl|ru|jp|cn|kr|br|au|ca"
"""Endings of host names. Those that code and files also use, such as `py`, `rs`, `in` and `me`, are left out."""
_ENDINGS_AT_LENGTH = "dev|cloud|internal|local|io|ai|co|us"
"""Endings that code also uses, as in `window.us` or `socket.io`. They name a host after two labels or before a port."""
_ENDINGS_BEFORE_PORT = f"{_ENDINGS_AT_LENGTH}|info|test"
"""Endings that name a host before a port only: `this.console.info is not a function` names none."""

START = rf"""
    [-=:\d] | [a-fA-F][0-9a-fA-F]{{0,3}}[-:] | \b[a-fA-F][0-9a-fA-F]{{6}} | \b(?:ws|http|ftp) | {dates.START}
  | (?<![\w.@/-])[a-zA-Z0-9-]{{1,63}}\.
"""
"""A pattern that every match begins with, as in the set of 2023."""

PATTERNS = {
    "url": PATTERNS_2023["url"],
    "hostname": (
        rf"(?<![\w.@/-])(?:(?:{_LABEL})+(?:{_ENDINGS})|(?:{_LABEL}){{2,}}(?:{_ENDINGS_AT_LENGTH})"
        rf"|(?:{_LABEL})+(?:{_ENDINGS_BEFORE_PORT})(?=:\d))(?![\w-]|\.\w)"
    ),
    # 00-<trace>-<span>-<flags> as in the W3C header, and the form without a version as in `sentry-trace`.
    "traceparent": r"\b(?:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{32}-[0-9a-f]{16}(?:-[01])?)\b",
    "uuid": PATTERNS_2023["uuid"],
    "mac": r"\b(?:(?:[0-9a-fA-F]{2}:){5}|(?:[0-9a-fA-F]{2}-){5})[0-9a-fA-F]{2}\b",
    "ip": rf"(?<![\w:.])(?:(?!::(?![0-9a-fA-F])){IPV6}|{IPV4})(?![\w:]|\.\d)",
    "sha1": PATTERNS_2023["sha1"],
    "md5": PATTERNS_2023["md5"],
    "date": dates.ANY,
    "duration": r"(?<![\w.])\d+(?:\.\d+)?(?:ns|us|µs|ms|s|min|h)\b",
    "hex": PATTERNS_2023["hex"],
    # Digits and letters of one case. Git abbreviates commits to seven characters; eight and more are another id.
    "git_sha": r"\b(?=[a-f]*+[0-9])(?=[0-9]*+[a-f])[0-9a-f]{7}\b",
    "bare_hex": r"\b(?:(?=[a-f]*+[0-9])(?=[0-9]*+[a-f])[0-9a-f]{8,}+|(?=[A-F]*+[0-9])(?=[0-9]*+[A-F])[0-9A-F]{8,}+)\b",
    "float": PATTERNS_2023["float"],
    "int": PATTERNS_2023["int"],
    "quoted_str": PATTERNS_2023["quoted_str"],
    "bool": PATTERNS_2023["bool"],
}
