"""Clean values: those that their parser would leave as they are. One call of msgspec checks a whole list of them.

Each type here admits less than its parser: what does not fit goes to the parser, which repairs it or says what is wrong. To check
a stack of 25 frames takes 8 us, to parse it 50. `tests/unit/normalize/test_clean.py` holds the promise that what fits comes out
as the parser would return it.

msgspec takes no number for a text, no boolean for a number and no float for an integer, so a value that fits needs no conversion.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

_Text = str | UnsetType
_Function = Annotated[str, Meta(max_length=532)] | UnsetType
_Text128 = Annotated[str, Meta(max_length=128)] | UnsetType
_Unsigned = Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType
_Lines = list[str] | UnsetType


class _CleanFrame(Struct, forbid_unknown_fields=True, gc=False):
    """A frame without what only native code has."""

    filename: _Text = UNSET
    abs_path: _Text = UNSET
    function: _Function = UNSET
    raw_function: _Function = UNSET
    module: _Text = UNSET
    package: _Text = UNSET
    platform: _Text = UNSET
    lineno: _Unsigned = UNSET
    colno: _Unsigned = UNSET
    pre_context: _Lines = UNSET
    context_line: _Text = UNSET
    post_context: _Lines = UNSET
    in_app: bool | UnsetType = UNSET
    vars: dict[str, Any] | UnsetType = UNSET


class _CleanBreadcrumb(Struct, forbid_unknown_fields=True, gc=False):
    """A breadcrumb. Its timestamp is in one of two forms, neither of which is clean."""

    timestamp: float | str | UnsetType = UNSET
    type: _Text128 = UNSET
    category: _Text128 = UNSET
    level: Literal["debug", "info", "warning", "error", "fatal"] | UnsetType = UNSET
    message: Annotated[str, Meta(max_length=8392)] | UnsetType = UNSET
    data: dict[str, Any] | UnsetType = UNSET


_frames = Annotated[list[_CleanFrame], Meta(min_length=1)]
_breadcrumbs = list[_CleanBreadcrumb]


def are_clean_frames(value: Any) -> bool:
    """Whether a value is a list of frames, at least one, that are clean but for `vars`."""
    return _fits(value, _frames)


def are_clean_breadcrumbs(value: Any) -> bool:
    """Whether a value is a list of breadcrumbs that are clean but for `timestamp` and `data`."""
    return _fits(value, _breadcrumbs)


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):  # the second for half a character
        return False
    return True
