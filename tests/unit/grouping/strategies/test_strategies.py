"""What each interface contributes, row by row from docs/spec/grouping.md."""

from __future__ import annotations

from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import NEWSTYLE_2023
from pipeline.grouping.grouping_frame import GroupingFrame, rows_of
from pipeline.grouping.hashing import HashKind
from pipeline.grouping.strategies.frame import frame_component
from pipeline.model.event import Frame


class _Leaves(HashKind):
    """A hash kind whose hash is the leaves themselves."""

    def encode(self, leaf: Any) -> bytes:
        return f"{leaf}|".encode()

    def digest(self, encoded: bytes) -> str:
        return encoded.decode()


def _leaves(component: Component) -> str:
    return component.encoded(_Leaves()).decode()


URL = "https://shop.example/static/app.js"

FRAMES: list[tuple[str, dict[str, Any], str]] = [
    ("python", {"module": "a.b", "filename": "a/B.py", "function": "f", "context_line": "\tx =  1\u2003 "}, "a.b|f|x = 1|"),
    ("python", {"filename": "C:\\src\\A.PY", "function": "f"}, "a.py|f|"),
    ("go", {"filename": "a.go", "function": "f", "context_line": "x"}, "a.go|f|"),
    ("python", {"filename": "a.py", "function": "f", "context_line": "y" * 120}, "a.py|f|" + "y" * 120 + "|"),
    ("python", {"filename": "a.py", "function": "f", "context_line": " " + "y" * 120}, "a.py|f|"),
    ("javascript", {"filename": "app.js", "abs_path": URL, "function": "f"}, "f|"),
    ("javascript", {"filename": "app.js", "abs_path": "file:///app.js", "function": "f"}, "app.js|f|"),
    ("javascript", {"filename": "<anonymous>", "function": "f"}, "f|"),
    ("node", {"filename": "[native code]", "function": "a.b.f"}, "f|"),
    ("javascript", {"module": "static/app", "abs_path": "https://x/static/app", "function": "f"}, "f|"),
    ("node", {"module": "static/app", "abs_path": "https://x/static/app", "function": "f"}, "static/app|f|"),
    ("javascript", {"function": "f", "context_line": "x()", "data": {"sourcemap": "m"}}, "x()|"),
    ("javascript", {"function": "f", "data": {"sourcemap": "m"}}, "f|"),
    ("javascript", {"abs_path": URL, "context_line": "x()"}, ""),
    ("javascript", {"abs_path": URL, "function": "f", "context_line": "x()"}, "f|x()|"),
    ("javascript", {"module": "m", "function": "Foo.<anonymous>"}, "m|"),
    ("javascript", {"module": "m", "function": "Foo/bar/<"}, "m|"),
    ("javascript", {"module": "m", "function": "eval"}, ""),
    ("javascript", {"module": "m", "abs_path": "native code", "function": "f"}, ""),
    ("java", {"module": "a.B", "function": "lambda$f$0"}, "a.B|"),
    ("java", {"module": "a.B$$Lambda$7/0x1", "filename": "B.java", "function": "f"}, "b.java|f|"),
    ("java", {"filename": "B_$$_javassist_seam_3.java", "function": "f"}, "b_$$_javassist<auto>.java|f|"),
    ("ruby", {"filename": "a.rb", "function": "block (2 levels) in f"}, "a.rb|block|"),
    ("ruby", {"filename": "a.erb", "function": "_app_a_erb__1234567_70123"}, "a.erb|_app_a_erb|"),
    ("php", {"filename": "a.php", "function": "[Anonymous function]"}, "a.php|"),
    ("php", {"filename": "a.php", "function": "class@anonymous\0/a.php:3$0::run"}, "a.php|run|"),
    ("php", {"filename": "a.php", "function": "class@anonymous\0/a.php:3$0"}, "a.php|"),
    ("csharp", {"module": "A", "function": "F", "raw_function": "F (int x)"}, "A|F (int x)|"),
    ("native", {"filename": "a.c", "function": "<redacted>"}, "a.c|"),
    ("native", {"filename": "a.c", "function": "f(int)"}, "a.c|f|"),
    ("native", {"filename": "a.c", "raw_function": "g(int)"}, "a.c|g(int)|"),
]


@pytest.mark.parametrize(("platform", "frame", "expected"), FRAMES)
def test_a_frame_contributes(platform: str, frame: Frame, expected: str) -> None:
    (row,) = rows_of([frame])

    assert _leaves(frame_component(GroupingFrame._make(row), platform, NEWSTYLE_2023)) == expected


def _explained(event: Any) -> dict[str, str]:
    """Return the contributing leaves of each contributing variant."""
    variants = make_grouper().explain(event).variants
    return {name: _leaves(variant.component) for name, variant in variants.items() if variant.contributes and variant.component}


STACK = {"frames": [{"function": "main", "in_app": False}, {"function": "pay", "in_app": True}]}
OTHER = {"frames": [{"function": "idle", "in_app": False}]}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([{"crashed": True, "stacktrace": STACK}, {"stacktrace": OTHER}], {"app": "pay|", "system": "main|pay|"}),
        ([{"current": True, "stacktrace": STACK}, {"stacktrace": OTHER}], {"app": "pay|", "system": "main|pay|"}),
        ([{"stacktrace": OTHER}], {"system": "idle|"}),
        ([{"stacktrace": OTHER}, {"stacktrace": STACK}], {}),
        ([{"crashed": True}, {"stacktrace": STACK}], {}),
        ([{"crashed": True, "stacktrace": STACK}, {"crashed": True, "stacktrace": STACK}], {}),
    ],
)
def test_threads_group_by_the_one_that_matters(values: list[dict[str, Any]], expected: dict[str, str]) -> None:
    assert _explained({"platform": "python", "threads": {"values": values}}) == expected


def test_an_exception_goes_before_threads_and_message() -> None:
    event = {
        "platform": "python",
        "exception": {"values": [{"type": "E", "value": "v 1"}]},
        "threads": {"values": [{"stacktrace": STACK}]},
        "logentry": {"formatted": "m"},
    }

    assert _explained(event) == {"app": "E|v <int>|"}


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        ({"type": "E", "value": "v", "stacktrace": STACK}, {"app": "pay|E|", "system": "main|pay|E|"}),
        ({"type": "E", "value": "v", "stacktrace": OTHER}, {"system": "idle|E|"}),
        ({"type": "E", "value": "v", "mechanism": {"synthetic": True}}, {"app": "v|"}),
        ({"type": "E", "value": "v", "mechanism": {"meta": {"ns_error": {"domain": "D", "code": 7}}}}, {"app": "E|D|7|"}),
        ({"type": "E", "value": "v", "mechanism": {"meta": {"ns_error": {}}}}, {"app": "E|None|None|"}),
        ({"type": "E", "stacktrace": {"frames": [None]}}, {"app": "E|"}),
    ],
)
def test_an_exception_contributes(exception: dict[str, Any], expected: dict[str, str]) -> None:
    assert _explained({"platform": "python", "exception": {"values": [exception]}}) == expected


def test_a_chain_counts_in_payload_order_and_one_without_a_stack_joins_app_alone() -> None:
    values = [{"type": "Inner", "value": "v"}, {"type": "Outer", "stacktrace": STACK}]

    assert _explained({"platform": "python", "exception": {"values": values}}) == {
        "app": "Inner|v|pay|Outer|",
        "system": "main|pay|Outer|",
    }


def test_repeated_frames_count_once() -> None:
    frames = [{"function": "f", "lineno": 1, "in_app": True}, *[{"function": "g", "lineno": 2, "in_app": True}] * 5]

    assert _explained({"platform": "python", "stacktrace": {"frames": frames}}) == {"system": "f|g|"}


def test_a_frame_with_an_empty_module_does_not_repeat_one_without() -> None:
    frames = [{"function": "f", "module": ""}, {"function": "f"}, {"function": "f"}]

    assert _explained({"platform": "python", "stacktrace": {"frames": frames}}) == {"system": "f|f|"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"logentry": {"message": "user %s", "formatted": "user 7"}}, "user %s|"),
        ({"logentry": {"formatted": "user 7"}}, "user <int>|"),
        ({"template": {"filename": "A.html", "context_line": " {{ x }} "}}, "A.html| {{ x }} |"),
        ({"template": {"filename": "A.html"}}, "A.html|"),
        ({"csp": {"effective_directive": "img-src", "blocked_uri": "https://cdn.example/x.png"}}, "img-src|cdn.example|"),
        (
            {
                "csp": {
                    "effective_directive": "script-src",
                    "violated_directive": "script-src 'unsafe-inline'",
                    "blocked_uri": "self",
                }
            },
            "script-src|'unsafe-inline'|",
        ),
        ({"hpkp": {"hostname": "a.example"}}, "hpkp|a.example|"),
        ({"expectct": {"hostname": "a.example"}}, "expect-ct|a.example|"),
        ({"expectstaple": {"hostname": "a.example"}}, "expect-staple|a.example|"),
    ],
)
def test_the_other_interfaces_give_one_variant(event: Any, expected: str) -> None:
    assert _explained(event) == {"default": expected}
