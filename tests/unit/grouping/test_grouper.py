from __future__ import annotations

import copy
import datetime as dt
import itertools
import random
from typing import Any

import pytest
from support.grouping import bases_of, make_grouper, own_bases
from support.growth import grows_linearly

from pipeline.grouping.grouper import Grouper
from pipeline.model.errors import InvalidRulesError
from pipeline.model.grouping import derive_group_id
from pipeline.model.rule_file import RuleFile
from pipeline.stages.normalize import normalize_event


def _error(**more: Any) -> Any:
    frames: Any = [{"function": "main", "in_app": True}, {"function": "pay", "in_app": False}]
    return {"platform": "python", "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": frames}}]}} | more


def test_all_hashes_are_published_and_system_is_last() -> None:
    grouper = make_grouper()
    variants = grouper.explain(_error()).variants

    assert grouper.group(_error()).hashes == (variants["app"].hash, variants["system"].hash)


@pytest.mark.parametrize(
    "others",
    [
        {"type": "F"},
        {"type": ""},
        {"type": None},
        {"value": "w"},
        {"mechanism": {"synthetic": True}},
        {"mechanism": {"meta": {"ns_error": {"domain": "D", "code": 7}}}},
        {"mechanism": {"exception_id": 0}},
    ],
)
@pytest.mark.parametrize("in_app", [True, False])
def test_hashes_remembered_with_a_stack_are_those_of_its_trees(others: dict[str, Any], in_app: bool) -> None:
    grouper = make_grouper()
    for changes in ({}, others, {}, others):
        event: Any = _error()
        (exception,) = event["exception"]["values"]
        exception["stacktrace"]["frames"][0]["in_app"] = in_app
        exception |= changes
        expected = make_grouper().explain(copy.deepcopy(event)).hashes
        assert grouper.group(copy.deepcopy(event)).hashes == expected
        assert grouper.group(event | {"fingerprint": ["{{ default }}", "x"]}).hashes != expected


@pytest.mark.parametrize("is_group", [True, False])
@pytest.mark.parametrize("has_ids", [True, False])
@pytest.mark.parametrize("in_app", [True, False])
def test_hashes_remembered_with_a_chain_are_those_of_its_trees(in_app: bool, has_ids: bool, is_group: bool) -> None:
    grouper = make_grouper()
    others: list[dict[str, Any]] = [{}, {"value": "w"}, {}, {"type": "F"}, {}, {"stacktrace": None}, {"mechanism": {}}, {}]
    for changes in others:
        event: Any = _error()
        values = event["exception"]["values"] = [copy.deepcopy(event["exception"]["values"][0]) for _ in range(3)]
        for number, exception in enumerate(values):
            if has_ids:
                group = {"is_exception_group": True} if is_group and number == 0 else {}
                exception["mechanism"] = {"exception_id": number, "parent_id": 0 if number else None} | group
        values[1]["stacktrace"]["frames"][0]["in_app"] = in_app
        values[1] |= changes
        for _ in range(2):
            asked, explained = copy.deepcopy(event), copy.deepcopy(event)
            assert grouper.group(asked).hashes == make_grouper().explain(explained).hashes
            assert asked.get("main_exception_id") == explained.get("main_exception_id")


def test_a_checksum_goes_before_everything() -> None:
    text = "0123456789abcdef" * 2
    for checksum, names in ((text, ["checksum"]), ("short", ["hashed-checksum", "checksum"]), ("x" * 33, ["hashed-checksum"])):
        event: Any = _error(checksum=checksum, fingerprint=["custom"])
        explanation = make_grouper().explain(event)
        assert list(explanation.variants) == names
        assert make_grouper().group(event).hashes == explanation.hashes
    assert make_grouper().group(_error(checksum=text)).hashes == (text,)


def test_a_fingerprint_of_the_sender_replaces_the_trees() -> None:
    explanation = make_grouper().explain(_error(fingerprint=["a", "b"]))

    assert [name for name, variant in explanation.variants.items() if variant.contributes] == ["custom-fingerprint"]
    assert explanation.hashes == (make_grouper().group(_error(fingerprint=["ab"])).hashes)  # md5 joins without separators


@pytest.mark.parametrize("rules", ["", "type:ValueError -> custom"])
def test_a_group_of_one_is_named_after_its_member_under_a_fingerprint_of_the_sender_or_a_rule(rules: str) -> None:
    grouper = make_grouper(fingerprints=rules)
    values = [
        {"type": "ValueError", "value": "n 1", "mechanism": {"exception_id": 1, "parent_id": 0}},
        {"type": "ExceptionGroup", "value": "many", "mechanism": {"exception_id": 0, "is_exception_group": True}},
    ]
    asked: Any = {"type": "error", "exception": {"values": values}, "fingerprint": ["custom"]}
    explained = copy.deepcopy(asked)

    assert grouper.group(asked).hashes == grouper.explain(explained).hashes
    assert asked["main_exception_id"] == explained["main_exception_id"] == 1


def test_a_default_among_other_values_salts_every_tree() -> None:
    plain = make_grouper().group(_error()).hashes
    salted = make_grouper().group(_error(fingerprint=["{{ default }}", "salt"])).hashes

    assert len(plain) == len(salted) == 2
    assert not set(plain) & set(salted)
    assert make_grouper().group(_error(fingerprint=["{{default}}"])).hashes == plain
    assert make_grouper().group(_error(fingerprint=[])).hashes == plain


def test_a_rule_goes_before_the_sender_and_is_named() -> None:
    grouper = make_grouper(fingerprints='# mine\ntype:E -> e-{{ level }} title="All E"')
    event: Any = _error(fingerprint=["client"], level="fatal")

    explanation = grouper.explain(copy.deepcopy(event))
    grouping = grouper.group(event)

    assert event["fingerprint"] == list(grouping.fingerprint) == ["e-", "{{ level }}"]
    assert (grouping.title, explanation.title) == ("All E", "All E")
    assert explanation.matched_rule is not None
    assert (explanation.matched_rule.file, explanation.matched_rule.line) == ("default/fingerprints.rules", 2)
    assert grouping.hashes == explanation.hashes


def test_the_senders_fingerprint_and_the_rule_that_replaced_it_are_kept() -> None:
    event: Any = _error(fingerprint=["client", "7"])
    grouper = make_grouper(fingerprints='type:E !app:maybe -> {{ default }}, x title="T"')
    rule = {
        "matchers": [["type", "E"], ["!app", "maybe"]],
        "fingerprint": ["{{ default }}", "x"],
        "attributes": {"title": "T"},
    }
    for _ in range(2):
        grouper.group(event)
        assert event["fingerprint"] == ["{{ default }}", "x"]
        assert event["_fingerprint_info"] == {"client_fingerprint": ["client", "7"], "matched_rule": rule}
    assert make_grouper().group(event).fingerprint == ("client", "7")
    assert event["_fingerprint_info"] == {"client_fingerprint": ["client", "7"]}


@pytest.mark.parametrize("sent", [None, [], ["{{ default }}"], ["{{default}}"], [None]])
def test_an_event_without_a_fingerprint_of_its_own_names_the_rule_alone(sent: Any) -> None:
    event: Any = _error(fingerprint=sent)
    make_grouper().group(event)
    assert "_fingerprint_info" not in event

    builtin = make_grouper(bases=bases_of(fingerprints="type:E -> x"))
    for _ in range(2):
        builtin.group(event)
        rule = {"matchers": [["type", "E"]], "fingerprint": ["x"], "attributes": {}, "is_builtin": True}
        assert event["_fingerprint_info"] == {"matched_rule": rule}


def test_a_rule_with_a_title_alone_takes_the_senders_fingerprint_away() -> None:
    grouper = make_grouper(fingerprints='type:E -> title="{{ type }} again"')
    plain = make_grouper().group(_error())
    grouping = grouper.group(_error(fingerprint=["client"]))

    assert (grouping.hashes, grouping.title) == (plain.hashes, "E again")
    assert grouper.explain(_error(fingerprint=["client"])).hashes == plain.hashes


def test_builtin_rules_come_last_and_can_be_switched_off() -> None:
    bases = bases_of(fingerprints="type:E -> builtin")
    event: Any = _error()

    assert "built-in-fingerprint" in make_grouper(bases=bases).explain(copy.deepcopy(event)).variants
    assert "custom-fingerprint" in make_grouper(bases=bases, fingerprints="type:E -> own").explain(copy.deepcopy(event)).variants
    off = make_grouper(bases=bases, toml="builtin_fingerprints = false").explain(copy.deepcopy(event))
    assert off.variants.keys() == {"app", "system"}


def test_a_group_that_nothing_can_be_said_of_is_the_fallback() -> None:
    events: list[Any] = [{}, {"exception": None}, {"stacktrace": {"frames": [None, None]}}, {"logentry": {}}]
    for event in events:
        assert list(make_grouper().explain(event).variants)[-1] == "fallback"
        assert make_grouper().group(event).hashes == ("d41d8cd98f00b204e9800998ecf8427e",)


CHANGED = 'strategy = "pipeline:2026-11-22"\nprevious_strategy = "newstyle:2023-01-11"\nprevious_until = 2027-01-31\n'
UNTIL = dt.datetime(2027, 2, 1, tzinfo=dt.UTC).timestamp()


def test_a_change_of_configuration_publishes_the_hashes_of_before_until_its_last_day_ends() -> None:
    before = make_grouper(toml='hash = "md5"').group(_error())
    toml = f'{CHANGED}previous_hash = "md5"\n'
    changed = make_grouper(toml=toml)
    alone: Any = make_grouper(toml='strategy = "pipeline:2026-11-22"').group(_error())

    during: Any = changed.group(_error(), now=UNTIL - 1)
    assert during.hashes == alone.hashes
    assert during.secondary_hashes == before.hashes
    assert during.group_id(7) == before.group_id(7) == derive_group_id(7, before.primary_hash)
    assert changed.explain(_error(), now=UNTIL - 1).grouping == during
    assert during.secondary_hashes == before.hashes

    after = changed.group(_error(), now=UNTIL)
    assert (after.hashes, after.secondary_hashes) == (alone.hashes, ())
    assert after.group_id(7) == alone.group_id(7) != before.group_id(7)


@pytest.mark.parametrize("rules", ["type:Foo -> {{ function }}", "type:Foo function:fetch app:yes -> theirs", "app:no -> ours"])
def test_the_fingerprint_of_before_is_found_on_the_frames_as_they_were_marked_before(rules: str) -> None:
    bases = {"enhancements@2001-01-01.rules": RuleFile("bases/new", "module:vendor.* -app")}
    frames: Any = [
        {"function": "checkout", "module": "shop", "in_app": True},
        {"function": "fetch", "module": "vendor.x", "in_app": True},
    ]
    event: Any = {"exception": {"values": [{"type": "Foo", "stacktrace": {"frames": frames}}]}, "fingerprint": ["client"]}
    toml = 'previous_enhancement_base = "none"\nprevious_until = 2027-01-31\n'
    before = make_grouper(toml="", fingerprints=rules).group(copy.deepcopy(event))
    alone, during = copy.deepcopy(event), copy.deepcopy(event)
    make_grouper(toml="", bases=bases, fingerprints=rules).group(alone)

    grouping = make_grouper(toml=toml, bases=bases, fingerprints=rules).group(during, now=UNTIL - 1)

    assert grouping.secondary_hashes == before.hashes
    assert grouping.group_id(7) == before.group_id(7)
    assert during == alone


def test_a_change_that_does_not_touch_an_event_has_nothing_to_add() -> None:
    event: Any = {"logentry": {"formatted": "plain words"}}

    grouping = make_grouper(toml=CHANGED).group(event, now=UNTIL - 1)

    assert grouping.secondary_hashes == ()
    assert grouping.group_id(7) == derive_group_id(7, grouping.primary_hash)


def test_every_mistake_of_every_file_is_reported_at_once() -> None:
    layers = [
        {"grouping.toml": RuleFile("d/grouping.toml", 'strategy = "x"'), "enhancements.rules": RuleFile("d/e", "broken")},
        {"enhancements.rules": RuleFile("p/e", "function:f -app\nf:1 +app"), "fingerprints.rules": RuleFile("p/f", "type:E ->")},
    ]

    with pytest.raises(InvalidRulesError) as raised:
        Grouper.load(layers, {})

    places = {(error.file, error.line) for error in raised.value.errors}
    assert places == {("d/grouping.toml", 1), ("d/e", 1), ("p/e", 2), ("p/f", 1)}


DEEP: list[Any] = []
for _ in range(3_000):
    DEEP = [DEEP]
JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, float("nan"), 10**30, "", "a", "\ud800x", "?", "\0",
    "{{ default }}", "{{ message }}", [], {}, [None],
    [[]], {"a": 1}, {"values": None}, {"values": [None, 1, "x", {}]}, {"frames": None}, {"frames": [None, "x", 1, {}, []]},
    "http://[x", "file:///x", DEEP, "javascript", "native", "java", "csharp", "php", "ruby", "cocoa",
]  # fmt: skip
FIELDS = [
    "module",
    "function",
    "raw_function",
    "filename",
    "abs_path",
    "package",
    "platform",
    "context_line",
    "in_app",
    "lineno",
    "data",
]


class _Hostile:
    """Events that were sent with anything anywhere. They are normalized, then some values are removed, as scrubbing does."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def junk(self) -> Any:
        return self._random.choice(JUNK)

    def some(self, *keys: str, share: float = 0.6) -> Any:
        return {key: self.junk() for key in keys if self._random.random() < share}

    def stack(self) -> Any:
        if self._random.random() < 0.2:
            return self.junk()
        frames: Any = [self.some(*FIELDS) | {"data": self.some("orig_in_app", "sourcemap", "category")} for _ in range(3)]
        return {"frames": [*frames, self.some(*FIELDS), self.junk()]}

    def exception(self) -> Any:
        meta = {"ns_error": self._random.choice([self.junk(), {"domain": self.junk(), "code": self.junk()}])}
        mechanism = self.some("type", "synthetic", "is_exception_group") | {
            "meta": meta,
            "exception_id": self._random.choice([0, 1, 2, None, "x"]),
            "parent_id": self._random.choice([0, 1, 2, None]),
        }
        whole = self.some("type", "value") | {"stacktrace": self.stack(), "raw_stacktrace": self.stack(), "mechanism": mechanism}
        return self._random.choice([whole, whole, whole | {"mechanism": self.junk()}, self.junk()])

    def event(self) -> Any:
        event: Any = self.some(
            "platform", "checksum", "template", "hpkp", "expectct", "tags", "sdk", "level", "event_id", "title", share=0.2
        )
        event["exception"] = self._random.choice([{"values": [self.exception() for _ in range(3)]}, self.junk()])
        event["threads"] = {"values": [self.some("crashed", "current") | {"stacktrace": self.stack()}, self.junk()]}
        event["stacktrace"] = self.stack()
        event["csp"] = self.some("effective_directive", "blocked_uri", "violated_directive")
        event["logentry"] = self.some("message", "formatted")
        event["fingerprint"] = self._random.choice([self.junk(), [self.junk(), self.junk()]])
        sent = {key: value for key, value in event.items() if self._random.random() < 0.6}
        normalized = normalize_event(sent, received=1_795_341_600.0, project_id=1, event_id="1" * 32)
        self.remove_some(normalized)
        return normalized

    def remove_some(self, value: Any) -> None:
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in list(children):
            if self._random.random() < 0.03:
                value[key] = None
            else:
                self.remove_some(child)


@pytest.mark.parametrize("strategy", ["newstyle:2023-01-11", "pipeline:2026-11-22"])
def test_groups_whatever_arrives_and_the_same_again(strategy: str) -> None:
    grouper = make_grouper(
        toml=f'strategy = "{strategy}"',
        bases=own_bases(),
        enhancements="error.value:*x* -group\nfunction:a +app\npath:**/x/** -group max-frames=1",
        fingerprints="message:*x* -> {{ message }}, {{ function }}",
    )
    for seed in range(600):
        event: Any = _Hostile(seed).event()
        grouping = grouper.group(event)
        assert grouping.hashes
        assert grouper.explain(event).hashes == grouping.hashes, seed
        assert grouper.group(event) == grouping, seed


def test_a_giant_event_costs_what_its_size_costs() -> None:
    grouper = make_grouper(bases=own_bases())
    runs = itertools.count()
    frame = {"module": "shop.cart", "filename": "shop/cart.py", "abs_path": "/srv/shop/cart.py", "in_app": True}

    def group_frames(count: int) -> None:
        run = next(runs)  # no stack is known from before
        frames: Any = [frame | {"function": f"f{run}_{number}"} for number in range(count)]
        grouper.group({"platform": "python", "stacktrace": {"frames": frames}})

    def group_chain(count: int) -> None:
        run = next(runs)
        chain: Any = [
            {"type": f"T{number}", "value": "v", "mechanism": {"exception_id": number, "parent_id": number - 1}}
            | {"stacktrace": {"frames": [frame | {"function": f"f{run}_{number}"}]}}
            for number in range(count)
        ]
        grouper.group({"platform": "python", "exception": {"values": chain}})

    assert grows_linearly(group_frames, 1_000)
    assert grows_linearly(group_chain, 200)
