"""Trims function names for grouping: removes arguments, generics, and what a compiler or linker has added.

Only C# and the native family report whole signatures, so only their names are trimmed. See docs/spec/grouping.md,
"Stack-trace normalization".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pipeline.grouping.grouping_frame import NATIVE

MAX_CHARS = 4_096
"""Longer names are cut first. SDKs and normalization allow a few hundred characters."""

MAX_DEPTH = 50
"""How many levels of Rust's `<<<A as B> as C> as D>` are resolved."""


_LAMBDA_GCC = re.compile(r"\{lambda\(.*?\)#\d+\}", re.DOTALL)
_LAMBDA_GCC_END = re.compile(r"\)#\d+\}")
_LAMBDA_MSVC_CLANG = re.compile(r"\blambda_[a-f0-9]{32}\b|\$_\d+\b")
_ANONYMOUS_NAMESPACE_MSVC = re.compile(r"\?A0x[a-f0-9]{8}::")
_CONST = re.compile(r"\bconst$")
_RUST_BLANKET = re.compile(r"^[A-Z] as ")
_RUST_HASH = re.compile(r"::h[a-z0-9]{16}$")
_GNU_VERSION = re.compile(r"@@?GLIBC_[0-9.]+$")
_WINDOWS_DECORATION = re.compile(r"^@?(.*?)@[0-9]+$")

_SHIELDS = (
    ("operator<<", "operator⟨⟨"),
    ("operator<", "operator⟨"),
    ("operator()", "operator◯"),
    (" -> ", " ⟿ "),
    ("`anonymous namespace'", "⟦anonymousnamespace⟧"),
)
"""Brackets that are part of a name, and what replaces them while the other brackets are balanced."""

_CLOSING = {"(": ")", "{": "}", "[": "]", "<": ">"}


MAX_CACHED = 16_384
MAX_REMEMBERED_CHARS = 256
"""How many results are cached, and the longest name that is. Together they limit the cache to some 20 MB."""


def trim_function(name: str, platform: str) -> str:
    """Return the name without the parts that differ between builds and calls of one function.

    Names of platforms other than C# and the native family are returned unchanged.

    >>> trim_function("shop::pay(int) const", "native")
    'shop::pay'
    """
    if platform == "csharp":
        return name.split(" (", 1)[0]
    if platform in NATIVE:
        return _cached_native(name, platform) if len(name) <= MAX_REMEMBERED_CHARS else _trim_native(name, platform)
    return name


@lru_cache(MAX_CACHED)
def _cached_native(name: str, platform: str) -> str:
    return _trim_native(name, platform)


def _trim_native(name: str, platform: str) -> str:
    if name in {"<redacted>", "<unknown>"}:
        return name
    name = name[:MAX_CHARS]
    rest = name.strip()
    if rest.startswith(("[", "+[", "-[")):  # an Objective-C selector is not trimmed
        return rest

    rest = _without_trailers(rest)
    for bracket, shield in _SHIELDS:
        rest = rest.replace(bracket, shield)
    rest = _fold_gcc_lambdas(_LAMBDA_MSVC_CLANG.sub("lambda", rest))
    rest = _ANONYMOUS_NAMESPACE_MSVC.sub("⟦anonymousnamespace⟧::", rest)
    rest = replace_enclosed(rest, "(", _keep_namespace)
    rest = replace_enclosed(rest, "<", _simplify_generics)

    tokens = split_tokens(rest)
    if len(tokens) > 1 and tokens[-1] == "<T>":  # MSVC writes a blank between an operator and its generics
        tokens[-2:] = [f"{tokens[-2]} <T>"]
    chosen = _choose(tokens)
    if not chosen:
        chosen = name
    elif chosen.startswith("@") and platform in {"cocoa", "swift"}:
        chosen = "thunk for closure" if "thunk for " in rest else "closure"
    else:
        for bracket, shield in _SHIELDS:
            chosen = chosen.replace(shield, bracket)
    chosen = _RUST_HASH.sub("", chosen)
    chosen = _GNU_VERSION.sub("", chosen)
    return _WINDOWS_DECORATION.sub(r"\1", chosen)


def _without_trailers(name: str) -> str:
    """Remove every `const`, `&` and `[clone ...]` at the end.

    Each step looks at the end only, so that the cost of a hostile name stays linear.
    """
    while True:
        if name.endswith("&"):
            name = name.rstrip("&").rstrip()
        elif name.endswith("const") and _CONST.search(name, max(len(name) - 6, 0)):
            name = name[:-5].rstrip()
        elif name.endswith("]") and (clone := name.find("[clone ", name.rfind("]", 0, -1) + 1)) >= 0:
            name = name[:clone].rstrip()
        else:
            return name


def _fold_gcc_lambdas(name: str) -> str:
    """Replace each `{lambda(...)#1}` by `lambda`.

    Only the text up to the last `)#1}` is searched, so that the cost of a hostile name stays linear.
    """
    ends = [match.end() for match in _LAMBDA_GCC_END.finditer(name)]
    return _LAMBDA_GCC.sub("lambda", name[: ends[-1]]) + name[ends[-1] :] if ends else name


def _choose(tokens: list[str]) -> str:
    """Return the token that is the name: the one before Swift's arrow, else the last one."""
    if "⟿" in tokens:
        return tokens[tokens.index("⟿") - 1]
    return tokens[-1] if tokens else ""


def _keep_namespace(content: str, _start: int) -> str:
    content = content.strip()
    return f"({content})" if content in {"anonymous namespace", "operator"} else ""


def _simplify_generics(content: str, start: int, depth: int = 0) -> str:
    """Return the replacement of `<...>`: `<T>`, but at the start of a name the type of Rust's `<Type as Trait>`."""
    if content == "lambda":
        return f"<{content}>"
    if start > 0 or depth == MAX_DEPTH:
        return "<T>"
    content = _RUST_BLANKET.sub("", content)  # `<T as Trait>` of a blanket implementation: the trait is kept, not `T`
    content = replace_enclosed(content, "<", lambda inner, at: _simplify_generics(inner, at, depth + 1))
    return content.split(" as ", 1)[0]


def replace_enclosed(text: str, opening: str, replacement: Callable[[str, int], str]) -> str:
    """Replace each outermost bracketed part by `replacement(content, start)`.

    A bracket that is never closed is removed with all that follows it.
    """
    if opening not in text:
        return text
    closing = _CLOSING[opening]
    depth = 0
    start = 0
    pieces: list[str] = []
    for index, char in enumerate(text):
        if char == opening:
            if depth == 0:
                start = index
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                pieces.append(replacement(text[start + 1 : index], start))
        elif depth == 0:
            pieces.append(char)
    return "".join(pieces)


def split_tokens(text: str) -> list[str]:
    """Split a name at the blanks that are outside of brackets."""
    tokens: list[str] = []
    token: list[str] = []
    expected: list[str] = []
    done = 0
    for index, char in enumerate(text):
        if char in _CLOSING:
            expected.append(_CLOSING[char])
        elif expected and char == expected[-1]:
            expected.pop()
            if not expected:
                token.append(text[done : index + 1])
                done = index + 1
        elif not expected:
            if char.isspace():
                if token:
                    tokens.append("".join(token))
                token = []
            else:
                token.append(text[done : index + 1])
            done = index + 1
    if token:
        tokens.append("".join(token))
    return tokens
