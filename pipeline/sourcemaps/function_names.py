"""Which function name a resolved frame gets (docs/spec/source-maps.md, "Function name")."""

from __future__ import annotations

from itertools import groupby

ANONYMOUS = "<anonymous>"
UNKNOWN = "<unknown>"
_MEANINGLESS = frozenset({ANONYMOUS, "__webpack_require__", "__webpack_modules__"})


def scoped_name(scope: str | None, token: str | None, minified: str | None) -> str:
    """Return the name of the scope around a position.

    `scope` is what the engine found, None for no scope at all. `token` is the map's name at the position, and `minified` is the
    function that the frame came with.
    """
    if scope is None:
        return minified or UNKNOWN
    if scope.startswith("$async$") and token:  # compiled Dart: the scope is the wrapper, the token the function
        return token
    return scope or ANONYMOUS


def choose_name(name: str, minified: str | None, callsite: str | None) -> str:
    """Return `name`. If it is one of `_MEANINGLESS`, return the name at the call site, else the minified name."""
    if name not in _MEANINGLESS:
        return name
    return callsite or minified or name


def fold_repeats(name: str) -> str:
    """Return a dotted name with repeated components written once. The last component is not counted.

    >>> fold_repeats("foo.foo.bar")
    '{foo#2}.bar'
    """
    if "." not in name:
        return name
    *scopes, last = name.split(".")
    folded = []
    for scope, repeats in groupby(scopes):
        count = len(list(repeats))
        folded.append(scope if count == 1 else f"{{{scope}#{count}}}")
    return ".".join((*folded, last))
