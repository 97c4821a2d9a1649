"""The patterns of `pipeline:2026-12-01`: those of 2026-11-22, and status codes as a kind of their own, which can be kept.

Tokens are replaced before these (`tokens.py`), and numbers at the end of a word after them.
"""

from __future__ import annotations

from pipeline.grouping.parameterization.patterns_2026 import PATTERNS as PATTERNS_2026
from pipeline.grouping.parameterization.patterns_2026 import START as START_2026
from pipeline.grouping.parameterization.tokens import KINDS

START = START_2026

_BEFORE_A_STATUS = (
    "status code ",
    "status code: ",
    "status: ",
    "status ",
    "status=",
    "statusCode=",
    "HTTP ",
    "HTTP/1.1 ",
    "HTTP/2 ",
)

ALWAYS_KEPT = frozenset({"minified_error"})
"""Kinds that are found but never replaced, so that other patterns do not match in them. The number tells what the error is."""

PATTERNS = {"minified_error": KINDS["minified_error"][0]}
for _kind, _pattern in PATTERNS_2026.items():
    if _kind == "float":
        _places = "|".join(f"(?<={text.replace(' ', '[ ]')})" for text in _BEFORE_A_STATUS)
        PATTERNS["status_code"] = rf"(?i:{_places})[1-5][0-9]{{2}}\b"
    PATTERNS[_kind] = _pattern
