"""Our own patterns: more kinds than 2023's, and matches that end where a word ends (`std::vector` holds no address).

Stands alone: it takes from the older set what it agrees with, never its order.
"""

from __future__ import annotations

from pipeline.grouping.parameterization import dates
from pipeline.grouping.parameterization.patterns_2023 import IPV4, IPV6
from pipeline.grouping.parameterization.patterns_2023 import PATTERNS as PATTERNS_2023

_LABEL = r"[a-zA-Z0-9-]{1,63}\."
_ENDINGS = "com|net|org|edu|gov|biz|eu|uk|de|fr|nl|ch|se|pl|ru|jp|cn|kr|br|au|ca"
"""Endings that name a host in a message. Left out are those that code and files use as well, such as `py`, `rs`, `in`, `me`."""
_ENDINGS_AT_LENGTH = "dev|cloud|internal|local|io|ai|co|us"
"""Those that code uses as well, as in `window.us` or `socket.io`: they name a host behind two labels or before a port."""
_ENDINGS_BEFORE_PORT = f"{_ENDINGS_AT_LENGTH}|info|test"
"""`this.console.info is not a function` names none."""

START = rf"""
    [-=:\d] | [a-fA-F][0-9a-fA-F]{{0,3}}[-:] | \b[a-fA-F][0-9a-fA-F]{{6}} | \b(?:ws|http|ftp) | {dates.START}
  | (?<![\w.@/-])[a-zA-Z0-9-]{{1,63}}\.
"""
"""What every match begins with; see the older set."""

PATTERNS = {
    "url": PATTERNS_2023["url"],
    "hostname": (
        rf"(?<![\w.@/-])(?:(?:{_LABEL})+(?:{_ENDINGS})|(?:{_LABEL}){{2,}}(?:{_ENDINGS_AT_LENGTH})"
        rf"|(?:{_LABEL})+(?:{_ENDINGS_BEFORE_PORT})(?=:\d))(?![\w-]|\.\w)"
    ),
    # 00-<trace>-<span>-<flags> of W3C, and the same without version as `sentry-trace` writes it.
    "traceparent": r"\b(?:[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|[0-9a-f]{32}-[0-9a-f]{16}(?:-[01])?)\b",
    "uuid": PATTERNS_2023["uuid"],
    "mac": r"\b(?:(?:[0-9a-fA-F]{2}:){5}|(?:[0-9a-fA-F]{2}-){5})[0-9a-fA-F]{2}\b",
    "ip": rf"(?<![\w:.])(?:(?!::(?![0-9a-fA-F])){IPV6}|{IPV4})(?![\w:]|\.\d)",
    "sha1": PATTERNS_2023["sha1"],
    "md5": PATTERNS_2023["md5"],
    "date": dates.ANY,
    "duration": r"(?<![\w.])\d+(?:\.\d+)?(?:ns|us|µs|ms|s|min|h)\b",
    "hex": PATTERNS_2023["hex"],
    # Digits and letters of one case. Seven characters are what git abbreviates a commit to; eight and more are some id.
    "git_sha": r"\b(?=[a-f]*+[0-9])(?=[0-9]*+[a-f])[0-9a-f]{7}\b",
    "bare_hex": r"\b(?:(?=[a-f]*+[0-9])(?=[0-9]*+[a-f])[0-9a-f]{8,}+|(?=[A-F]*+[0-9])(?=[0-9]*+[A-F])[0-9A-F]{8,}+)\b",
    "float": PATTERNS_2023["float"],
    "int": PATTERNS_2023["int"],
    "quoted_str": PATTERNS_2023["quoted_str"],
    "bool": PATTERNS_2023["bool"],
}
