from __future__ import annotations

import copy
from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile

FRAME = {
    "module": "shop.cart",
    "function": "pay",
    "filename": "shop/cart.py",
    "abs_path": "/srv/shop/cart.py",
    "package": "shop",
    "context_line": "    charge(order)",
    "in_app": True,
    "lineno": 7,
    "colno": 1,
}


def _event(frame: dict[str, Any] | None = None, **exception: Any) -> Any:
    frames = [FRAME | {"function": "main"}, copy.deepcopy(FRAME | (frame or {}))]
    return {
        "platform": "python",
        "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": frames}} | exception]},
    }


def _frame(event: Any) -> Any:
    frame: dict[str, Any] = event["exception"]["values"][0]["stacktrace"]["frames"][1]
    return frame


def test_unset_in_app_becomes_false_and_is_remembered_as_unset() -> None:
    event = _event({"in_app": None})
    make_grouper().group(event)

    assert _frame(event)["in_app"] is False
    assert _frame(event)["data"] == {"orig_in_app": -1}


def test_a_rule_stores_what_was_sent_and_a_second_run_starts_from_it() -> None:
    grouper = make_grouper(enhancements="function:pay app:yes -app\nfunction:pay app:no +app\nfunction:pay -app")
    event = _event()

    grouper.group(event)
    assert (_frame(event)["in_app"], _frame(event)["data"]) == (False, {"orig_in_app": 1})
    grouper.group(event)
    assert (_frame(event)["in_app"], _frame(event)["data"]) == (False, {"orig_in_app": 1})

    make_grouper().group(event)  # without the rule, what was sent counts again
    assert _frame(event)["in_app"] is True


def test_the_later_rule_wins() -> None:
    event = _event()
    make_grouper(enhancements="function:pay -app\nfunction:pay +app").group(event)
    assert _frame(event)["in_app"] is True


def test_a_native_name_is_trimmed_once_and_kept() -> None:
    event = _event({"function": "shop::pay(int) const"}) | {"platform": "native"}
    make_grouper().group(event)

    assert (_frame(event)["function"], _frame(event)["raw_function"]) == ("shop::pay", "shop::pay(int) const")
    before = copy.deepcopy(event)
    make_grouper().group(event)
    assert event == before


def test_threads_and_raw_stacks_are_normalized_too() -> None:
    stack = {"frames": [{"function": "f"}, None, {"function": "pay", "in_app": True}]}
    event: Any = {
        "platform": "python",
        "stacktrace": copy.deepcopy(stack),
        "exception": {"values": [None, {"type": "E", "raw_stacktrace": copy.deepcopy(stack)}]},
        "threads": {"values": [{"stacktrace": copy.deepcopy(stack), "raw_stacktrace": copy.deepcopy(stack)}]},
    }

    make_grouper(enhancements="function:pay -app").group(event)

    thread = event["threads"]["values"][0]
    for found in (
        event["stacktrace"],
        event["exception"]["values"][1]["raw_stacktrace"],
        thread["stacktrace"],
        thread["raw_stacktrace"],
    ):
        assert [frame and frame["in_app"] for frame in found["frames"]] == [False, None, False]


RULES = """
error.type:Special -group
error.value:"special *" -group
error.mechanism:special -group
family:javascript -group
package:special -group
path:**/special/* -group
category:special -group
app:no -group
"""

DIFFERENCES = {
    "type": _event(type="Special"),
    "value": _event(value="special case"),
    "mechanism": _event(mechanism={"type": "special"}),
    "package": _event({"package": "special"}),
    "path": _event({"abs_path": "/srv/special/cart.py"}),
    "in_app": _event({"in_app": False}),
    "original in_app": _event({"data": {"orig_in_app": 0}}),
    "category": _event({"data": {"category": "special"}}),
    "module": _event({"module": "shop.basket"}),
    "function": _event({"function": "refund"}),
    "line": _event({"context_line": "refund(order)"}),
    "platform": _event() | {"platform": "javascript"},
    "frame's platform": _event({"platform": "javascript"}),
    "position, which makes a recursion": {
        "platform": "python",
        "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [FRAME, dict(FRAME)]}}]},
    },
    "no recursion": {
        "platform": "python",
        "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [FRAME, FRAME | {"lineno": 8}]}}]},
    },
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_cache_never_answers_for_an_event_that_rules_tell_apart(name: str) -> None:
    """Two events that differ in one thing which a rule reads take turns. Each result is that of an empty cache."""
    remembering = make_grouper(enhancements=RULES)
    for _ in range(2):
        for event in (_event(), DIFFERENCES[name]):
            fresh_event, remembered_event = copy.deepcopy(event), copy.deepcopy(event)
            assert remembering.group(remembered_event) == make_grouper(enhancements=RULES).group(fresh_event)
            assert remembered_event == fresh_event
    assert (
        make_grouper(enhancements=RULES).group(_event()).hashes
        != make_grouper(enhancements=RULES).group(copy.deepcopy(DIFFERENCES[name])).hashes
    )


def test_projects_with_other_rules_share_a_cache_without_harm() -> None:
    caches = GroupingCaches(max_stack_bytes=1_000_000)
    texts = ["", "function:pay -app", "function:pay -group"]
    groupers = [Grouper.load([{"enhancements.rules": RuleFile("e", text)}], {}, caches) for text in texts]

    hashes = [grouper.group(_event()).hashes for grouper in groupers]

    assert len(set(hashes)) == 3
    assert [grouper.group(_event()).hashes for grouper in groupers] == hashes
    assert caches.stacks.hits >= 3


def test_a_message_that_no_rule_reads_is_not_part_of_the_cache_key() -> None:
    caches = GroupingCaches(max_stack_bytes=1_000_000)
    grouper = Grouper.load([{"enhancements.rules": RuleFile("e", "error.type:X -group")}], {}, caches)
    for number in range(5):
        grouper.group(_event(value=f"message {number}"))

    assert (len(caches.stacks), caches.stacks.hits) == (1, 4)


def test_a_line_number_is_not_part_of_the_cache_key() -> None:
    caches = GroupingCaches(max_stack_bytes=1_000_000)
    grouper = Grouper.load([], {}, caches)
    for lineno in range(10, 15):
        grouper.group(_event({"lineno": lineno}))

    assert (len(caches.stacks), caches.stacks.hits) == (1, 4)


def test_many_stacks_stay_within_the_bound() -> None:
    caches = GroupingCaches(max_stack_bytes=100_000)
    grouper = Grouper.load([], {}, caches)
    for number in range(400):
        grouper.group(_event({"function": f"pay_{number}"}))

    assert 0 < caches.stacks.held_bytes <= 100_000
    assert 20 < len(caches.stacks) < 400
