"""The same error in the words of different JavaScript engines: a dated table of what is equal.

Chrome (V8), Firefox (SpiderMonkey), Safari (JavaScriptCore), the older Edge (Chakra) and Hermes word one error differently. Which
one a visitor uses does not matter. A row says what they all become for grouping. The event keeps the original words.
A released table never changes, because every change regroups events. See docs/spec/grouping.md, "Words of engines".

This file is long because it is one table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pipeline.grouping.strategies.pattern_literals import literal_in

MAX_CHARS = 512
"""A longer text is nobody's standard message."""

MAX_CACHED = 4_096


ENGINE_TYPES = frozenset(
    {
        *("Error", "TypeError", "RangeError", "InternalError", "DOMException", "NotFoundError", "UnknownError", "AbortError"),
        *("QuotaExceededError", "QUOTA_EXCEEDED_ERR", "NS_ERROR_DOM_QUOTA_REACHED", "NS_ERROR_FAILURE"),
    }
)
"""The types that engines disagree about for one error."""


class Equal(NamedTuple):
    """One row. `said` is what grouping reads in place of each form, with `{name}` for the group of that name in a form.

    `forms` are pairs of a pattern for the whole first line, and an example of it. `type` replaces the exception's type, where the
    engines disagree about that too.
    """

    said: str
    forms: Sequence[tuple[str, str]]
    type: str | None = None


class Said(NamedTuple):
    """What a message is grouped by, and the type in place of the exception's, or None."""

    value: str
    type: str | None


_NAME = r"(?P<name>[\w$]+)"
_LAST = rf"(?:.{{0,200}}?[\].)'\s]|(?<!.))?\.?(?:\#|\[['\"]?)?{_NAME}(?:['\"]?\])?"
"""An expression such as `this.cart.items[0].price`, of which the last name counts. Builds and engines vary the rest."""
_LAST_OF_NEW = _LAST.replace("name", "name2")
_NOTHING = r"(?P<nothing>undefined|null)"

_MOVING = "(?:removeChild|insertBefore|replaceChild)"

_TABLE_2026_12 = (
    Equal(
        "undefined or null cannot become an object",
        (
            (r"Cannot convert undefined or null to object", "Cannot convert undefined or null to object"),
            (r"can't convert (?:undefined|null) to object", "can't convert null to object"),
            (
                r"(?:undefined|null) is not an object \(evaluating 'Object\.\w+\(.*",
                "undefined is not an object (evaluating 'Object.keys(a)')",
            ),
        ),
    ),
    Equal(
        "{nothing} has no property '{name}'",
        (
            (rf"Cannot (?:read|set) property '{_NAME}' of {_NOTHING}", "Cannot read property 'price' of undefined"),
            (
                rf"Cannot (?:read|set|delete) properties of {_NOTHING} \((?:reading|setting|deleting) '{_NAME}'\)",
                "Cannot read properties of undefined (reading 'price')",
            ),
            (
                rf"Cannot destructure property '{_NAME}' of '.*' as it is {_NOTHING}\.",
                "Cannot destructure property 'price' of 'e' as it is undefined.",
            ),
            (rf"can't access property \"?{_NAME}\"?, .* is {_NOTHING}", 'can\'t access property "price", e.item is undefined'),
            (rf"can't access property \"?{_NAME}\"? of {_NOTHING}", 'can\'t access property "price" of undefined'),
            (
                rf"{_NOTHING} is not an object \(evaluating '{_LAST}(?:\(.*\)|\s*[-+*/%&|^]?=.*)?'\)",
                "undefined is not an object (evaluating 'e.item.price')",
            ),
        ),
    ),
    Equal(
        "undefined has no property '{name}'",
        (
            (
                rf"Unable to (?:get|set) property '{_NAME}' of undefined or null reference",
                "Unable to get property 'price' of undefined or null reference",
            ),
        ),
    ),
    Equal(
        "not iterable",
        (
            (
                r".* is not iterable(?: \(cannot read property Symbol\(Symbol\.iterator\)\))?",
                "undefined is not iterable (cannot read property Symbol(Symbol.iterator))",
            ),
            (r".* is not a function \(near '\.\.\..*\.\.\.'\)", "undefined is not a function (near '...[e, t]...')"),
            (r"Invalid attempt to \w+ non-iterable instance\..*", "Invalid attempt to spread non-iterable instance."),
            (r"iterator method is not callable", "iterator method is not callable"),
        ),
    ),
    Equal(
        "'{name}' is not a constructor",
        (
            (rf"{_LAST} is not a constructor", "e.Cart is not a constructor"),
            (
                rf"(?:undefined|null|{_LAST}) is not a constructor \(evaluating 'new {_LAST_OF_NEW}(?:\(.*\))?'\)",
                "undefined is not a constructor (evaluating 'new e.Cart(t)')",
            ),
        ),
    ),
    Equal(
        "'{name}' is not a function",
        (
            (rf"{_LAST}(?:\(\.\.\.\))? is not a function", "e.cart.pay is not a function"),
            (
                rf"{_LAST}(?:\(\.*\))? is not a function\. \(In '.*', '.*' is .*\)",
                "e.cart.pay is not a function. (In 'e.cart.pay(1)', 'e.cart.pay' is undefined)",
            ),
            (rf"Object doesn't support property or method '{_NAME}'", "Object doesn't support property or method 'pay'"),
            (rf"Object .* has no method '{_NAME}'", "Object #<Object> has no method 'pay'"),
        ),
    ),
    Equal(
        "'{name}' is not defined",
        (
            (rf"{_NAME} is not defined", "price is not defined"),
            (rf"Can't find variable: {_NAME}", "Can't find variable: price"),
            (rf"'{_NAME}' is undefined", "'price' is undefined"),
            (rf"Property '{_NAME}' doesn't exist", "Property 'price' doesn't exist"),
        ),
    ),
    Equal(
        "'{name}' is used before initialization",
        (
            (rf"Cannot access '{_NAME}' before initialization\.?", "Cannot access 'price' before initialization"),
            (
                rf"can't access lexical declaration ['\"`]{_NAME}['\"`] before initialization",
                "can't access lexical declaration 'price' before initialization",
            ),
        ),
    ),
    Equal(
        "a constant is assigned",
        (
            (r"Assignment to constant variable\.", "Assignment to constant variable."),
            (r"invalid assignment to const ['\"`][\w$]+['\"`]", "invalid assignment to const 'price'"),
        ),
    ),
    Equal(
        "a read-only property is assigned",
        (
            (
                r"Cannot assign to read only property '.*' of (?:object|function) .*",
                "Cannot assign to read only property 'price' of object '#<Object>'",
            ),
            (r'".*" is read-only', '"price" is read-only'),
            (r"Attempted to assign to readonly property\.", "Attempted to assign to readonly property."),
        ),
    ),
    Equal(
        "the call stack is exhausted",
        (
            (r"Maximum call stack size exceeded\.?(?: \(.*\))?", "Maximum call stack size exceeded"),
            (r"too much recursion", "too much recursion"),
            (r"Out of stack space", "Out of stack space"),
        ),
        type="RangeError",
    ),
    Equal(
        "the network request failed",
        (
            (r"Failed to fetch(?: \([^()]+\))?\.?", "Failed to fetch"),
            (
                r"NetworkError when attempting to fetch resource\.?(?: \([^()]+\))?",
                "NetworkError when attempting to fetch resource.",
            ),
            (r"Load failed(?: \([^()]+\))?", "Load failed"),
            (r"Network request failed", "Network request failed"),
            (r"The network connection was lost\.", "The network connection was lost."),
            (r"The Internet connection appears to be offline\.", "The Internet connection appears to be offline."),
            (r"Could not connect to the server\.", "Could not connect to the server."),
            (
                r"A server with the specified hostname could not be found\.",
                "A server with the specified hostname could not be found.",
            ),
        ),
        type="TypeError",
    ),
    Equal(
        "the request was aborted",
        (
            (r"The user aborted a request\.", "The user aborted a request."),
            (r"signal is aborted without reason", "signal is aborted without reason"),
            (r"The operation was aborted\.\s*", "The operation was aborted. "),
            (r"Fetch is aborted", "Fetch is aborted"),
            (r"Aborted", "Aborted"),
        ),
    ),
    Equal(
        "JSON ends too early",
        (
            (r"Unexpected end of (?:JSON )?input", "Unexpected end of JSON input"),
            (r"Unterminated string in JSON at position \d+.*", "Unterminated string in JSON at position 12"),
            (
                r"JSON\.parse: (?:unexpected end of data|unterminated string(?: literal)?)(?: at .*)?",
                "JSON.parse: unexpected end of data at line 1 column 1 of the JSON data",
            ),
            (
                r"JSON Parse error: (?:Unexpected EOF|Unterminated string|Unexpected end of input)",
                "JSON Parse error: Unexpected EOF",
            ),
        ),
    ),
    Equal(
        "JSON has an unexpected character",
        (
            (
                r"Unexpected (?:token|number|string|identifier).* in JSON at position \d+.*",
                "Unexpected token < in JSON at position 0",
            ),
            (
                r"Unexpected (?:token|number|string|identifier).* is not valid JSON",
                "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
            ),
            (r'".*" is not valid JSON', '"undefined" is not valid JSON'),
            (
                r"(?:Expected|Bad|No number|Unexpected).* in JSON at position \d+.*",
                "Expected property name or '}' in JSON at position 1",
            ),
            (
                r"Unexpected non-whitespace character after JSON(?: data)? at .*",
                "Unexpected non-whitespace character after JSON at position 3",
            ),
            (r"JSON\.parse: .*", "JSON.parse: unexpected character at line 1 column 1 of the JSON data"),
            (r"JSON Parse error: .*", "JSON Parse error: Unrecognized token '<'"),
        ),
    ),
    Equal(
        "unexpected token '{name}'",
        (
            (r"Unexpected token '?(?P<name>[^\s']+)'?", "Unexpected token '<'"),
            (r"expected expression, got '(?P<name>[^\s']+)'", "expected expression, got '<'"),
        ),
    ),
    Equal(
        "a node that is removed or stood before is no child",
        (
            (
                rf"Failed to execute '{_MOVING}' on 'Node': The node .* is not a child of this node\.",
                "Failed to execute 'removeChild' on 'Node': The node to be removed is not a child of this node.",
            ),
            (
                rf"Node\.{_MOVING}: .* is not a child of this node\.?",
                "Node.removeChild: The node to be removed is not a child of this node",
            ),
            (r"The object can not be found here\.", "The object can not be found here."),
        ),
        type="NotFoundError",
    ),
    Equal(
        "the storage is full",
        (
            (
                r"Failed to execute 'setItem' on 'Storage': Setting the value of '.*' exceeded the quota\.",
                "Failed to execute 'setItem' on 'Storage': Setting the value of 'cart' exceeded the quota.",
            ),
            (r"(?:The )?[qQ]uota (?:has been )?exceeded\.?", "The quota has been exceeded."),
            (r"Persistent storage maximum size reached", "Persistent storage maximum size reached"),
        ),
        type="QuotaExceededError",
    ),
    Equal(
        "the storage is denied",
        (
            (
                (
                    r"Failed to read the '(?:localStorage|sessionStorage|indexedDB|cookie)' property from '(?:Window|Document)': "
                    r".*(?:denied|sandboxed).*"
                ),
                "Failed to read the 'localStorage' property from 'Window': Access is denied for this document.",
            ),
            (r"The operation is insecure\.", "The operation is insecure."),
        ),
    ),
    Equal(
        "playing needs a gesture",
        (
            (
                r"play\(\) failed because the user didn't interact with the document first\..*",
                "play() failed because the user didn't interact with the document first.",
            ),
            (
                r"The (?:play method|request) is not allowed by the user agent or the platform in the current context.*",
                (
                    "The request is not allowed by the user agent or the platform in the current context, possibly because the"
                    " user denied permission."
                ),
            ),
        ),
    ),
    Equal(
        "ResizeObserver did not finish",
        (
            (r"ResizeObserver loop limit exceeded\.?", "ResizeObserver loop limit exceeded"),
            (
                r"ResizeObserver loop completed with undelivered notifications\.?",
                "ResizeObserver loop completed with undelivered notifications.",
            ),
        ),
    ),
    Equal(
        "a method is called on another kind of object",
        (
            (r"Illegal invocation", "Illegal invocation"),
            (
                r"'.*' called on an object that does not implement interface \w+\.",
                "'addEventListener' called on an object that does not implement interface EventTarget.",
            ),
            (r"Can only call \S+ on instances of \w+", "Can only call Window.addEventListener on instances of Window"),
        ),
    ),
    Equal("Script error", ((r"Script error\.?", "Script error."),)),
    Equal(
        "{place}.{name}: {text}",
        (
            (
                r"Failed to execute '(?P<name>\w+)' on '(?P<place>\w+)': (?P<text>.*?)\.?",
                "Failed to execute 'json' on 'Response': body stream already read",
            ),
            (r"(?P<place>[A-Z]\w+)\.(?P<name>\w+): (?P<text>.*?)\.?", "Response.json: body stream already read"),
        ),
    ),
)

TABLES: Mapping[str, Sequence[Equal]] = {"2026-12-01": _TABLE_2026_12}
"""The tables by date. Within one, the first row that fits counts."""

_COMPILED = {
    date: [(literal_in(pattern), row, re.compile(pattern, re.DOTALL)) for row in table for pattern, _ in row.forms]
    for date, table in TABLES.items()
}
"""The forms of each table: a text that each match contains, the row, and the pattern."""
_PREFIX = re.compile(r"(?:Uncaught )?(?:\(in promise\):? )?(?:[A-Z]\w*(?:Error|Exception): )?")


def in_common_words(text: str, table: str) -> Said | None:
    """Return what a message of a JavaScript engine is grouped by, or None if the table does not have it.

    >>> in_common_words("Cannot read properties of undefined (reading 'price')", "2026-12-01")
    Said(value="undefined has no property 'price'", type=None)
    """
    return _find(text.strip(), table) if len(text) <= MAX_CHARS else None


def type_in_common(kind: str, text: str, table: str) -> str:
    """Return the type that an exception is grouped by: that of the table, where engines disagree about it, else its own.

    A type that no engine defines is the program's own, and stays.
    """
    said = in_common_words(text, table) if kind in ENGINE_TYPES else None
    return kind if said is None or said.type is None else said.type


@lru_cache(MAX_CACHED)
def _find(text: str, table: str) -> Said | None:
    prefix = _PREFIX.match(text)
    rest = text[prefix.end() :] if prefix is not None else text
    for literal, row, pattern in _COMPILED[table]:
        if literal in rest and (found := pattern.fullmatch(rest)) is not None:
            groups = found.groupdict()
            if groups.get("name2"):
                groups["name"] = groups["name2"]
            return Said(row.said.format_map(groups), row.type)
    return None
