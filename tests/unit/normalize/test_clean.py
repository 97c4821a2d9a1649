"""What is clean comes out of normalization as it would come out of the parsers that it is spared."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.normalize import protocol, stacktraces
from pipeline.stages.normalize.clean import are_clean_breadcrumbs, are_clean_frames
from pipeline.stages.normalize.remarks import Remarks

ODD: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, 2**63, 2**64, 2**70])
    | st.text(max_size=5)
    | st.just([])
)
TEXT = st.text(max_size=6) | st.sampled_from(
    ["?", "", "https://a.example/x/y.js?z", "a.py", "\ud800", "x" * 128, "x" * 532, "x" * 533]
)
LINES = st.lists(TEXT, max_size=3) | st.lists(ODD, max_size=2)
FREE = st.dictionaries(st.text(max_size=3), ODD | st.text(min_size=900, max_size=1_200), max_size=3)
TEXTS = ("filename", "abs_path", "function", "raw_function", "module", "context_line", "package", "platform")
CLEAN_FRAME = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXTS, TEXT.filter(lambda text: len(text) <= 532)),
        **dict.fromkeys(("lineno", "colno"), st.integers(0, 2**63 - 1)),
        **dict.fromkeys(("pre_context", "post_context"), st.lists(TEXT, max_size=3)),
        "in_app": st.booleans(),
        "vars": FREE,
    },
)
FRAME = CLEAN_FRAME | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXTS, TEXT | ODD),
        **dict.fromkeys(("lineno", "colno", "in_app", "unknown", "data", "symbol", "instruction_addr"), ODD),
        **dict.fromkeys(("pre_context", "post_context"), LINES),
        "vars": FREE | ODD,
    },
)
STACK = st.fixed_dictionaries({"frames": st.lists(CLEAN_FRAME, max_size=60) | st.lists(FRAME | ODD, max_size=4)})
LEVELS = st.sampled_from(["debug", "info", "warning", "error", "fatal"])
MOMENT = st.floats() | st.integers(0, 2_000_000_000) | st.sampled_from(["2026-03-01T12:00:00Z", "soon", ""])
CLEAN_CRUMB = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("type", "category", "message"), TEXT.filter(lambda text: len(text) <= 128)),
        "level": LEVELS,
        "timestamp": MOMENT,
        "data": FREE,
    },
)
CRUMB = CLEAN_CRUMB | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("type", "category", "message"), TEXT | ODD),
        **dict.fromkeys(("origin", "event_id", "unknown"), ODD),
        "level": LEVELS | ODD | st.sampled_from(["log", "critical"]),
        "timestamp": MOMENT | ODD,
        "data": FREE | ODD,
    },
)
CRUMBS = st.lists(CLEAN_CRUMB, max_size=4) | st.lists(CRUMB | ODD, max_size=4)


def parsed(parse: Any, value: Any) -> str:
    """Return what a parser makes of a value, with its remarks. `repr` tells 1 from 1.0 and True, and keeps the order of keys."""
    remarks = Remarks()
    result = parse(deepcopy(value), (None, "x"), remarks)
    return repr((result, remarks.errors, remarks.meta))


def both_ways(monkeypatch: pytest.MonkeyPatch, module: Any, check: str, parse: Any, value: Any) -> tuple[str, str]:
    found = parsed(parse, value)
    with monkeypatch.context() as patched:
        patched.setattr(module, check, lambda _: False)
        return found, parsed(parse, value)


@given(stack=STACK)
def test_a_stack_comes_out_as_from_its_parser(stack: Any) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        found, expected = both_ways(monkeypatch, stacktraces, "are_clean_frames", stacktraces.stacktrace, stack)
    assert found == expected


@given(crumbs=CRUMBS, wrapped=st.booleans())
def test_breadcrumbs_come_out_as_from_their_parser(crumbs: Any, *, wrapped: bool) -> None:
    value = {"values": crumbs} if wrapped else crumbs
    with pytest.MonkeyPatch.context() as monkeypatch:
        found, expected = both_ways(monkeypatch, protocol, "are_clean_breadcrumbs", protocol.FIELDS["breadcrumbs"], value)
    assert found == expected


@given(CLEAN_FRAME)
def test_what_sdks_send_is_clean(frame: Any) -> None:
    """Otherwise the tests above would compare the parser with itself."""
    assert are_clean_frames([frame])


@given(st.lists(CLEAN_CRUMB, max_size=3))
def test_breadcrumbs_as_sdks_send_them_are_clean(crumbs: Any) -> None:
    assert are_clean_breadcrumbs(crumbs)
