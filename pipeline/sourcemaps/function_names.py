"""Which name a resolved frame gets (spec/javascript.md section 1, "Function name")."""

from __future__ import annotations

from itertools import groupby

ANONYMOUS = "<anonymous>"
UNKNOWN = "<unknown>"
_TELL_NOTHING = frozenset({ANONYMOUS, "__webpack_require__", "__webpack_modules__"})


def scoped_name(scope: str | None, token: str | None, minified: str | None) -> str:
    """Name the scope around a position: `scope` as the engine found it, None for no scope at all.

    `token` is the map's name at the position, `minified` the function that the frame came with.
    """
    if scope is None:
        return minified or UNKNOWN
    if scope.startswith("$async$") and token:  # compiled Dart: the scope is the wrapper, the token the function
        return token
    return scope or ANONYMOUS


def choose_name(name: str, minified: str | None, callsite: str | None) -> str:
    """Replace a name that tells nothing by what the caller called it, else by the minified name."""
    if name not in _TELL_NOTHING:
        return name
    return callsite or minified or name


def fold_repeats(name: str) -> str:
    """Write repeated components shortly: `foo.foo.bar` is `{foo#2}.bar`; the last component stays by itself."""
    if "." not in name:
        return name
    *scopes, last = name.split(".")
    folded = []
    for scope, repeats in groupby(scopes):
        count = len(list(repeats))
        folded.append(scope if count == 1 else f"{{{scope}#{count}}}")
    return ".".join((*folded, last))
