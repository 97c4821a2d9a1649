"""Any field of an event by its path, `or` between matchers, texts as they were sent, and blanks that nobody sees."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from support.grouping import make_grouper
from support.growth import grows_linearly

from pipeline.grouping.fingerprint_rules.event_paths import MAX_JSON_CHARS, text_at
from pipeline.grouping.fingerprint_rules.variables import closest_to, is_unknown, resolve

EVENT: Any = {
    "platform": "javascript",
    "csp": {"script_sample": "eval(x)", "blocked_uri": "self"},
    "contexts": {"device": {"model": "iPhone14,5", "memory.free": 12}, "flags": [True, None, {"a": 1.5}]},
    "extra": {"a.b": {"c": "dotted"}, "json": '{"order": {"id": 7}}', "null": None, "big": 2**70},
    "request": {"headers": [["User-Agent", "curl/8"], ["Accept", "*/*"]]},
    "tags": [["region", "eu"], None],
    "logentry": {"formatted": ' order failed: {"code": "E12", "items": [{"sku": "a"}]} at once'},
    "exception": {"values": [{"type": "First"}, {"type": "Last"}]},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("event.csp.script_sample", "eval(x)"),
        ("event.contexts.device.model", "iPhone14,5"),
        ("event.contexts.device.memory.free", "12"),
        ("event.contexts.flags.0", "true"),
        ("event.contexts.flags.-1.a", "1.5"),
        ("event.extra.a.b.c", "dotted"),
        ("event.extra.json.order.id", "7"),
        ("event.extra.json.order", '{"id":7}'),
        ("event.extra.big", str(2**70)),
        ("event.request.headers.User-Agent", "curl/8"),
        ("event.tags.region", "eu"),
        ("event.message.code", "E12"),
        ("event.message.items.0.sku", "a"),
        ("event.logentry.formatted.code", "E12"),
        ("event.exception.values.-1.type", "Last"),
        ("event.platform", "javascript"),
        *[
            (path, None)
            for path in (
                *("event.extra.null", "event.extra.nope", "event.nope", "event.contexts.flags.9", "event.contexts.flags.x"),
                *(
                    "event.contexts.flags.1",
                    "event.platform.x",
                    "event.",
                    "event.tags.2",
                    "event.contexts.flags.99999999999999999999",
                ),
            )
        ],
    ],
)
def test_reads_a_field(path: str, text: str | None) -> None:
    assert text_at(EVENT, path) == text
    assert resolve(f"{{{{ {path} }}}}", EVENT) in {text, f"<no-value-for-{path}>", f"{{{{ {path} }}}}"}


@pytest.mark.parametrize(
    "text", ["{" * MAX_JSON_CHARS, "[" * 9_000, '{"a":' * 9_000, '"' * MAX_JSON_CHARS, "{" * (MAX_JSON_CHARS + 1)]
)
def test_a_text_that_is_no_json_costs_little(text: str) -> None:
    assert text_at({"extra": {"a": text}}, "event.extra.a.b") is None
    assert grows_linearly(lambda size: text_at({"extra": {"a": text[:size]}}, "event.extra.a.b"), len(text) // 4)


def _fingerprint(rules: str, event: Any, toml: str = 'strategy = "pipeline:2026-12-01"\n') -> tuple[str, ...]:
    explained = make_grouper(toml=toml, fingerprints=rules).explain(copy.deepcopy(event))
    custom = explained.variants.get("custom-fingerprint")
    return custom.values if custom is not None else explained.fingerprint


@pytest.mark.parametrize(
    "rules",
    [
        'event.csp.script_sample:"eval*" -> hit',
        "event.contexts.device.model:iPhone* type:Last -> hit",
        "event.message.code:E12 -> hit",
        '"event.request.headers.User-Agent":curl/* -> hit',
        "!event.extra.nope:x -> hit",
        "type:Nope or type:Last -> hit",
        "type:Nope type:Last or type:Nope or platform -> miss\ntype:First or type:Nope -> hit".splitlines()[1],
        'message:"order failed: * at once" -> hit',
        'tags.padded:"x y" -> hit',
    ],
)
def test_a_rule_matches(rules: str) -> None:
    event = EVENT | {"tags": [["padded", " x y\n"]]}
    assert _fingerprint(rules, event) == ("hit",)


@pytest.mark.parametrize(
    "rules", ["event.extra.nope:* -> hit", "type:Nope or type:Last type:First -> hit", "event.platform:JAVASCRIPT -> hit"]
)
def test_a_rule_does_not_match(rules: str) -> None:
    assert _fingerprint(rules, EVENT) == ("{{ default }}",)


def test_raw_variables_stand_for_the_text_as_it_was_sent() -> None:
    event = {"platform": "python", "exception": {"values": [{"type": "E", "value": "status code 404"}]}}
    rules = (
        "type:E -> {{ message }}, {{ raw_message }}, {{ raw_value }}, {{ error.raw_value }}, {{ event.exception.values.0.value }}"
    )

    assert _fingerprint(rules, event) == ("status code <status_code>", *["status code 404"] * 4)


def test_a_name_of_a_field_is_no_variable_and_the_path_is_proposed() -> None:
    assert is_unknown("{{ csp.script_sample }}")
    assert closest_to("csp.script_sample") == "event.csp.script_sample"
    assert not is_unknown("{{ event.csp.script_sample }}")
    assert is_unknown("{{ event. }}")


@pytest.mark.parametrize("rules", ["or type:A -> x", "type:A or -> x", "type:A or or type:B -> x"])
def test_or_stands_between_matchers(rules: str) -> None:
    with pytest.raises(Exception, match="expected"):
        make_grouper(fingerprints=rules)
