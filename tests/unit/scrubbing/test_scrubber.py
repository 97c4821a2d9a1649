from __future__ import annotations

from typing import Any

import pytest
from support.growth import grows_linearly

from pipeline.scrubbing.defaults import DefaultRules
from pipeline.scrubbing.field_positions import MAX_POSITIONS, FieldPositions
from pipeline.scrubbing.rules import ScrubbingRuleError
from pipeline.scrubbing.scrubber import Scrubber

DEFAULTS = {"scrubData": True, "scrubDefaults": True}


def _scrub(event: Any, applications: dict[str, list[str]] | None = None, **settings: Any) -> Any:
    Scrubber.from_relay({**DEFAULTS, **settings}, {"applications": applications} if applications else None).scrub(event)
    return event


def test_what_normalization_refused_is_scrubbed_where_it_is_kept() -> None:
    event = _scrub(
        {
            "user": {"id": "1"},
            "_meta": {"user": {"data": {"password": {"": {"val": "hunter2", "err": ["invalid_data"]}}}}},
            "errors": [{"type": "invalid_data", "name": "user.data.password", "value": "hunter2"}],
        }
    )
    assert event["_meta"]["user"]["data"]["password"][""]["val"] == "[Filtered]"
    assert event["errors"][0]["value"] == "[Filtered]"


def test_a_second_group_of_rules_leaves_earlier_redactions_alone() -> None:
    event = _scrub({"extra": {"a": "card 4111111111111111 of a@b.co"}}, {"$string": ["@email:replace"]})
    assert event["extra"]["a"] == "card [Filtered] of [email]"
    assert event["_meta"]["extra"]["a"][""] == {
        "rem": [["@creditcard:filter", "s", 5, 15], ["@email:replace", "s", 19, 26]],
        "len": 31,
    }


def test_the_mark_of_a_cut_survives() -> None:
    remark = {"rem": [["!limit", "s", 22, 25]], "len": 900}
    event = _scrub({"extra": {"a": "card 4111111111111111 ..."}, "_meta": {"extra": {"a": {"": remark}}}})
    assert event["extra"]["a"] == "card [Filtered] ..."
    assert event["_meta"]["extra"]["a"][""]["rem"] == [["@creditcard:filter", "s", 5, 15], ["!limit", "s", 16, 19]]


def test_scrubbing_again_changes_nothing() -> None:
    event = _scrub({"extra": {"password": "p", "t": "4111111111111111"}, "request": {"headers": [["Authorization", "x"], None]}})
    again = _scrub({**event})
    assert again == event


def test_a_hashed_address_becomes_the_users_id() -> None:
    event = _scrub({"user": {"ip_address": "192.0.2.7"}}, {"$user.ip_address": ["@ip:hash"]}, scrubData=False)
    assert set(event["user"]) == {"id"}
    assert len(event["user"]["id"]) == 40
    assert event["_meta"]["user"]["ip_address"][""] == {"rem": [["pii:ip_address", "x"]]}


def test_what_was_no_address_stays_where_it_is() -> None:
    assert _scrub({"user": {"ip_address": "{{auto}}"}})["user"] == {"ip_address": "{{auto}}"}


def test_keys_that_mean_the_same_to_the_rules_share_a_position() -> None:
    positions = FieldPositions(DefaultRules(sensitive_fields=("pin",)).to_applications())
    extra = positions.event.child("extra")
    under = {
        extra.child(f"{word}{number}") for number in range(1_000) for word in ("password", "color", "PIN", "pin", "secret pin")
    }
    assert len(under) == 4
    assert positions.count < 400


def test_positions_nested_on_purpose_are_dropped_at_their_bound() -> None:
    positions = FieldPositions(DefaultRules().to_applications())
    for number in range(3_000):
        position = positions.event.child("extra")
        for bit in f"{number:012b}":
            position = position.child(("color", "password")[int(bit)])
        assert positions.count <= MAX_POSITIONS + 26


@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("", "token", ""),
        ("", "-----BEGIN RSA PRIVATE KEY-----", "-----END"),
        ("", "a@", ""),
        ("", "::", ""),
        ("", "4 ", ""),
        ("", "bearer ", ""),
        ("/home/x/", "a", ""),
    ],
)
def test_hostile_texts_cost_what_their_length_costs(start: str, repeated: str, end: str) -> None:
    def scrub(characters: int) -> None:
        text = start + repeated * (characters // len(repeated)) + end
        _scrub({"extra": {"a": text}}, {"$string": ["@email", "@ip", "@userpath"]})

    assert grows_linearly(scrub, 4_000)


@pytest.mark.parametrize(
    "address",
    [
        "2001:db8::1",
        "2001:db8:85a3::8a2e:370:7334",
        "2001:db8:1:2::5",
        "64:ff9b::192.0.2.33",
        "::ffff:192.0.2.33",
        "2001:db8:1:2:3:4:5:6",
        "1:2:3:4:5:6:192.0.2.33",
        "fe80::",
        "::1",
        "::",
    ],
)
@pytest.mark.parametrize("text", ["{}", "ip={} x", "[{}]:80", "from {}, twice {}"])
def test_an_ipv6_address_goes_whole(address: str, text: str) -> None:
    event = _scrub({"extra": {"a": text.replace("{}", address)}}, {"$string": ["@ip"]})
    assert event["extra"]["a"] == text.replace("{}", "[ip]")


def test_what_lies_anywhere_below_a_place_is_not_the_place_itself() -> None:
    event = _scrub({"extra": {"a": "one", "b": "no"}}, {"extra.**": ["@anything:mask"]})
    assert event["extra"] == {"a": "***", "b": "**"}


@pytest.mark.parametrize("safe", ["extra.*", "**.password", "password", "$string"])
def test_a_safe_field_may_be_a_selector(safe: str) -> None:
    event = _scrub({"extra": {"password": "a", "secret": "b"}}, excludeFields=[safe])
    assert event["extra"]["password"] == "a"


def test_a_template_is_the_senders_text() -> None:
    event = _scrub({"template": {"context_line": "password=x", "pre_context": ["card 4111111111111111"], "lineno": 1}})
    assert event["template"] == {"context_line": "[Filtered]", "pre_context": ["card [Filtered]"], "lineno": 1}


def test_the_common_rules_have_a_word_for_each_kind() -> None:
    event = _scrub({"extra": {"a": "a@b.co at 192.0.2.7"}}, {"extra.*": ["@common"]}, scrubData=False)
    assert event["extra"]["a"] == "[email] at [ip]"


@pytest.mark.parametrize("key", ["otp", "two-factor"])
def test_a_key_is_telling_as_a_whole(key: str) -> None:
    assert _scrub({"extra": {key: "a", f"{key}\n": "b"}})["extra"] == {key: "[Filtered]", f"{key}\n": "b"}


@pytest.mark.parametrize(("groups", "kept"), [([1], "[x]cd"), ([2, 1], "[x][x]cd"), ([], "[x]cd")])
def test_groups_of_a_pattern(groups: list[int], kept: str) -> None:
    rule = {"type": "pattern", "pattern": "(a)(b)", "replaceGroups": groups, "redaction": {"method": "replace", "text": "[x]"}}
    event: Any = {"extra": {"a": "abcd"}}
    Scrubber.from_relay({}, {"rules": {"own": rule}, "applications": {"extra.*": ["own"]}}).scrub(event)
    assert event["extra"]["a"] == (kept if groups != [1] else "[x]bcd")


def test_a_group_that_a_pattern_has_not_is_refused_when_it_is_read() -> None:
    rule = {"type": "pattern", "pattern": "(a)", "replaceGroups": [9]}
    with pytest.raises(ScrubbingRuleError, match="groups 0 to 1"):
        Scrubber.from_relay({}, {"rules": {"own": rule}, "applications": {"extra.*": ["own"]}})
