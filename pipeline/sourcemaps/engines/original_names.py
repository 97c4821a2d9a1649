"""Names of functions from the text of an original file, by its syntax tree (docs/spec/source-maps.md, "Function name").

The tree is made by tree-sitter with the grammar of TypeScript and JSX, which also reads JavaScript, and files with mistakes in
them. It takes a second a megabyte, once for each file that has a frame. Only the ranges and names of functions are kept.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Tree

_MAX_SOURCE_BYTES = 250_000
"""Longer files are not parsed. The tree usually takes 100 times the file's size for a moment, and at worst (`a<a<a<`) 1,300
times."""
_MAX_NAME = 200
_SFC = re.compile(r"\.(?:vue|svelte)(?:\?|$)")
_SCRIPT = re.compile(rb"<script\b[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_FUNCTIONS = frozenset(
    {
        "function_declaration",
        "generator_function_declaration",
        "function_expression",
        "generator_function",
        "arrow_function",
        "method_definition",
    }
)
_MEMBERS = frozenset({"method_definition", "public_field_definition", "field_definition", "class_body", "pair"})
_TRANSPARENT = frozenset({"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression"})


class _Function(NamedTuple):
    """The range of a function in bytes, its dotted name (empty if it has none), and the number of the function around it."""

    start: int
    end: int
    name: str
    outer: int


class FunctionRanges:
    """The functions of one original file."""

    def __init__(self, functions: list[_Function], line_starts: list[int], text: bytes) -> None:
        self._functions = functions
        self._starts = [function.start for function in functions]
        self._line_starts = line_starts
        self._length = len(text)
        self._text = None if text.isascii() else text  # for ASCII, columns are bytes

    @property
    def cost_bytes(self) -> int:
        """The memory that the names take, in bytes."""
        return 300 * len(self._functions) + 40 * len(self._line_starts) + len(self._text or b"") + 1_000

    def find(self, line: int, column: int) -> str | None:
        """Return the name of the innermost function around a position: empty for an anonymous one, None outside of functions.

        `line` and `column` count from 1, and columns are UTF-16 units.
        """
        if not 1 <= line <= len(self._line_starts):
            return None
        start = self._line_starts[line - 1]
        end = self._line_starts[line] if line < len(self._line_starts) else self._length
        offset = start + (column - 1 if self._text is None else _byte_offset(self._text[start:end], column - 1))
        number = bisect_right(self._starts, offset) - 1
        while number >= 0 and self._functions[number].end <= offset:
            number = self._functions[number].outer
        return self._functions[number].name if number >= 0 else None


def _byte_offset(line: bytes, units: int) -> int:
    return len(line.decode("utf-8", "replace").encode("utf-16-le")[: units * 2].decode("utf-16-le", "ignore").encode())


class TreeSitterNames:
    """Reads the names of original files. Holds the parser and its grammar."""

    def __init__(self) -> None:
        self._parser = Parser(Language(tree_sitter_typescript.language_tsx()))

    def read(self, name: str, text: bytes) -> FunctionRanges | None:
        """Return the functions of a file, or None for one that is too long. Of a Vue or Svelte file only the scripts are read."""
        if len(text) > _MAX_SOURCE_BYTES:
            return None
        code = _only_scripts(text) if _SFC.search(name) else text
        functions: list[_Function] = []
        around: list[int] = []
        for node in _functions(self._parser.parse(code)):
            while around and functions[around[-1]].end <= node.start_byte:
                around.pop()
            functions.append(_Function(node.start_byte, node.end_byte, _name(node), around[-1] if around else -1))
            around.append(len(functions) - 1)
        line_starts = [0]
        for line in text.splitlines(keepends=True):
            line_starts.append(line_starts[-1] + len(line))
        return FunctionRanges(functions, line_starts[:-1] or [0], text)


def _functions(tree: Tree) -> Iterator[Node]:
    """Yield the functions, the outer before the inner ones. A query would take minutes for a file full of brackets."""
    cursor = tree.walk()
    while True:
        node = cursor.node
        if node is not None and node.type in _FUNCTIONS:
            yield node
        if cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _only_scripts(text: bytes) -> bytes:
    """Return the text with everything outside of `<script>` replaced by blanks, so that positions stay the same."""
    code = bytearray(re.sub(rb"[^\n]", b" ", text))
    for script in _SCRIPT.finditer(text):
        code[script.start(1) : script.end(1)] = script.group(1)
    return bytes(code)


def _name(function: Node) -> str:
    """Return the name of a function, with that of its class or object; empty if it has none."""
    own = function.child_by_field_name("name")
    if function.type == "method_definition":
        return _method_name(function, _text(own))
    if own is not None:
        return _text(own)
    value, holder = function, function.parent
    while holder is not None and holder.type in _TRANSPARENT:
        value, holder = holder, holder.parent
    if holder is None:
        return ""
    if holder.type == "variable_declarator" and _is_field(holder, "value", value):
        name = holder.child_by_field_name("name")
        return _text(name) if name is not None and name.type == "identifier" else ""
    if holder.type == "assignment_expression" and _is_field(holder, "right", value):
        return _assigned_name(holder.child_by_field_name("left"))
    if holder.type == "pair" and _is_field(holder, "value", value):
        return _dotted(_owner(holder.parent), _text(holder.child_by_field_name("key")))
    if holder.type in {"public_field_definition", "field_definition"}:
        return _dotted(_owner(holder), _text(holder.child_by_field_name("name")))
    return ""


def _method_name(method: Node, name: str) -> str:
    owner = _owner(method)
    if name == "constructor":
        return f"new {owner}" if owner else ""
    kind = next((child.type for child in method.children if child.type in {"get", "set"}), None)
    return f"{kind} {_dotted(owner, name)}" if kind is not None else _dotted(owner, name)


def _assigned_name(target: Node | None) -> str:
    """Return the name of an assignment's target: `a.b` as it is, without `this`, `exports` and `prototype`."""
    if target is None or target.type not in {"identifier", "member_expression"}:
        return ""
    parts = [part for part in _text(target).split(".") if part not in {"this", "module", "exports", "prototype"}]
    return ".".join(parts) if all(re.fullmatch(r"[\w$#]+", part) for part in parts) else ""


def _owner(node: Node | None) -> str:
    """Return the name of the class or object that a member is in; empty if it has none."""
    while node is not None and node.type in _MEMBERS:
        node = node.parent
    if node is None:
        return ""
    if node.type in {"class_declaration", "class", "abstract_class_declaration"}:
        own = node.child_by_field_name("name")
        if own is not None:
            return _text(own)
    if node.type not in {"class", "object"}:
        return ""
    value, holder = node, node.parent
    while holder is not None and holder.type in _TRANSPARENT:
        value, holder = holder, holder.parent
    if holder is not None and holder.type == "variable_declarator" and _is_field(holder, "value", value):
        return _text(holder.child_by_field_name("name"))
    if holder is not None and holder.type == "assignment_expression" and _is_field(holder, "right", value):
        return _assigned_name(holder.child_by_field_name("left"))
    return ""


def _is_field(holder: Node, field: str, value: Node) -> bool:
    found = holder.child_by_field_name(field)
    return found is not None and found.id == value.id


def _dotted(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner and name else name


def _text(node: Node | None) -> str:
    """Return the text of a name; empty for one that is computed or too long to be one."""
    if node is None or node.text is None or node.type == "computed_property_name":
        return ""
    text = node.text.decode("utf-8", "replace")
    return text.strip("\"'") if len(text) <= _MAX_NAME else ""
