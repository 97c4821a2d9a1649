"""A secret under a project's rule is planted at every size, at every depth, in every encoding, and must be gone."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from support.growth import grows_linearly
from support.records import make_record, whole_context

from pipeline.rules.project import Project
from pipeline.rules.snapshot import ProjectRules, Rules
from pipeline.scrubbing.scrubber import Scrubber
from pipeline.scrubbing.scrubbing_file import ScrubbingFile
from pipeline.stages import CHECKED
from pipeline.stages.contract import Context
from pipeline.stages.runner import run

SECRET = "73194-geheim"
ROUNDS = 12


def context(**applications: list[str]) -> Context:
    ctx = whole_context()
    file = ScrubbingFile(applications={selector: tuple(rules) for selector, rules in applications.items()})
    nothing: Any = None
    rules = ProjectRules(Project(), nothing, (), nothing, nothing)._replace(scrubber=Scrubber.of(file))
    return Context(now=ctx.now, rules=Rules("test", rules, {}), ledger=ctx.ledger)


def scrubbed(event: dict[str, Any], ctx: Context) -> str:
    result = run([make_record(json.dumps({"event_id": "a" * 32, **event}).encode())], ctx, CHECKED)
    assert not result.dead
    return json.dumps(result.events[0].event, ensure_ascii=False)


PIN = context(pin=["@anything:mask"])
BODY_PIN = context(**{"$http.data.pin": ["@anything"]})
CARD_PIN = context(**{"card.pin": ["@anything:remove"]})
COOKIE_PIN = context(**{"$http.cookies.pin": ["@anything:hash"]})
QUERY_PIN = context(**{"$http.query_string.pin": ["@anything"]})


def _nested(value: Any, levels: int, random_: random.Random) -> Any:
    for _ in range(levels):
        others = {f"k{random_.randrange(9)}": random_.randrange(1_000) for _ in range(random_.randrange(3))}
        value = random_.choice([{**others, "inner": value}, [value], [1, value, None], {"a b": value}])
    return value


@pytest.mark.parametrize("levels", range(0, 100, 9))
def test_at_every_depth(levels: int) -> None:
    random_ = random.Random(levels)
    for value in (SECRET, {"x": SECRET}, [SECRET], [["y", SECRET]], {"x": {"y": [SECRET, 5]}}):
        deep = _nested({"card": {"pin": value}}, levels, random_)
        request = random_.choice([{"data": deep}, {"data": json.dumps(deep)}])
        exception = [{"type": "E", "value": deep, "mechanism": {"type": "m", "data": {"d": deep}}}]
        frames = [{"function": "f", "vars": {"v": deep}}]
        event = {
            "extra": {"e": deep},
            "contexts": {"c": {"x": deep}, "response": {"data": deep}},
            "breadcrumbs": [{"data": {"d": deep}}],
            "request": request,
            "user": {"id": "1", "data": {"d": deep}},
            "exception": exception,
            "stacktrace": {"frames": frames},
            "logentry": {"message": "m", "params": [deep]},
        }
        for ctx in (PIN, CARD_PIN):
            assert SECRET not in scrubbed(event, ctx), (levels, value)


@pytest.mark.parametrize("size", [0, 100, 1_000, 2_030, 2_048, 8_150, 8_180, 8_192, 8_210, 9_000, 16_380, 20_000, 300_000])
def test_at_every_size(size: int) -> None:
    for before in ("x" * size, ["x"] * (size // 4), {f"k{number}": 1 for number in range(size // 9)}):
        body = {"aa": before, "card": {"pin": SECRET, "q": {"r": [1]}}, "pin": SECRET, "zz": before}
        for text in (body, json.dumps(body), json.dumps(body, indent=2), json.dumps(body)[: -size - 5]):
            event = {"request": {"data": text}, "extra": {"body": text}, "contexts": {"c": {"body": text}}}
            assert SECRET not in scrubbed(event, PIN), size
        del body["card"]
        for text in (body, json.dumps(body), json.dumps(body)[: -size - 5]):
            assert SECRET not in scrubbed({"request": {"data": text}}, BODY_PIN), size


def _odd_bodies(pin: str) -> dict[str, str]:
    body = json.dumps({"user": "bob", "pin": pin, "z": [1, 2]})
    escaped = body.replace("pin", "p\\u0069n").replace(pin, "".join(f"\\u{ord(character):04x}" for character in pin))
    boundary = "--xyz\r\nContent-Disposition: form-data; name={}\r\n{}\r\n{}\r\n--xyz--\r\n"
    return {
        "a byte-order mark": "\ufeff" + body,
        "text behind": body + " trailing",
        "text before": "it's POST " + body.replace('"z"', '"note": "don\'t", "z"'),
        "a call around": f"callback({body});",
        "a prefix against inclusion": ")]}',\n" + body,
        "not a number": body.replace("2]", "NaN, Infinity, -Infinity]"),
        "lines": f'{{"a": 1}}\n{body}\n{{"b": 2}}',
        "single quotes": body.replace('"', "'"),
        "names without quotes": body.replace('"pin"', "pin").replace('"user"', "user"),
        "a comma too many": body.replace("]}", ",],}"),
        "comments": body.replace('"pin"', '/* x */ "pin"'),
        "cut off": body[: body.index(pin) + len(pin)],
        "cut off in quotes": body[: body.index(pin) + len(pin) - 2],
        "escapes": escaped,
        "a number": json.dumps({"pin": 7319473194})[:-1],
        "an object": json.dumps({"pin": {"a": pin, "b": [pin]}})[:-1],
        "blanks around the colon": body.replace('"pin": ', '"pin"  :  '),
        "yaml": f"user: bob\npin: {pin}\nz: 1\n",
        "a form": f"user=bob&pin={quote_plus(pin)}&z=1",
        "a form of one field": f"pin={pin}",
        "a form with an encoded name": f"user=bob&%70in={quote(pin)}",
        "a form with semicolons": f"user=bob;pin={pin};z=1",
        "a form line by line": f"user=bob\npin={pin}\nz=1",
        "a form twice": f"pin={pin}&pin={pin}&user=bob",
        "a form in brackets": f"[user=bob&pin={pin}]",
        "a form with broken bytes": f"user=bob%ff%zz&pin={pin}%ff",
        "a form behind a question mark": f"?user=bob&pin={pin}",
        "parts": boundary.format('"pin"', "", pin),
        "parts with a type": boundary.format('"pin"; filename="a"', "Content-Type: text/plain\r\n", pin),
        "parts by plain lines": boundary.format("pin", "", pin).replace("\r\n", "\n"),
        "xml": f"<a><user>bob</user><pin type='x'>{pin}</pin></a>",
        "json in a form": f"user=bob&data={quote_plus(json.dumps({'pin': pin}))}",
    }


@pytest.mark.parametrize("name", _odd_bodies("x"))
def test_in_every_encoding_of_a_body(name: str) -> None:
    random_ = random.Random(name)
    for _ in range(ROUNDS):
        pin = "".join(random_.choices("0123456789ABCDEFGHJK", k=random_.randrange(8, 20)))
        text = _odd_bodies(pin)[name]
        result = scrubbed({"request": {"data": text}}, BODY_PIN if name != "json in a form" else PIN)
        shown = pin[:-2] if name == "cut off in quotes" else "7319473194" if name == "a number" else pin
        assert shown not in result, text
        assert "bob" in result or "user" not in text, "the rest stays"


@pytest.mark.parametrize(
    "header",
    ["a=b; junk; pin={}", "pin={}; ; x", "junk; pin = {}", "pin={};;", 'a="x; y"; pin={}; q', "=x; %70in={}", "pin={},junk; z"],
)
def test_in_a_cookie_header_that_is_not_all_cookies(header: str) -> None:
    for headers in ({"Cookie": header.format(SECRET)}, [["cookie", header.format(SECRET)], None, "junk", ["a"]]):
        assert SECRET not in scrubbed({"request": {"headers": headers}}, COOKIE_PIN)
    assert SECRET not in scrubbed({"request": {"cookies": header.format(SECRET)}}, COOKIE_PIN)


@pytest.mark.parametrize(
    "query",
    [
        "a=1&pin={}",
        "?pin={}",
        "a=1;pin={}",
        "a=%ff&%70%69n={}",
        "pin={}&pin={}",
        [["a", "1"], None, ["pin", "{}"]],
        [["pin", "{}"], "junk"],
        {"pin": "{}", "a": None},
        {"pin": {"x": "{}"}},
    ],
)
def test_in_a_query(query: Any) -> None:
    filled = json.loads(json.dumps(query).replace("{}", SECRET))
    assert SECRET not in scrubbed({"request": {"query_string": filled}}, QUERY_PIN)
    if isinstance(query, str):
        assert SECRET not in scrubbed({"request": {"url": "https://a.example/?" + filled.removeprefix("?")}}, QUERY_PIN)


@pytest.mark.parametrize("other", [None, "junk", [], ["a"], ["a", "b", "c"], 5, {"x": 1}, [None, "x"], [5, "x"], ["a/b", "x"]])
def test_in_pairs_beside_what_is_no_pair(other: Any) -> None:
    for pairs in ([["pin", SECRET], other], [other, ["a", "b"], ["pin", SECRET]]):
        event = {
            "tags": pairs,
            "request": {"headers": pairs, "cookies": pairs, "query_string": pairs, "data": pairs},
            "extra": {"e": pairs},
        }
        assert SECRET not in scrubbed(event, PIN)


def test_under_a_tag_whose_name_was_refused() -> None:
    assert SECRET not in scrubbed({"tags": {"my/pin": SECRET}}, context(**{"'my/pin'": ["@anything"]}))
    assert SECRET not in scrubbed({"tags": {"my/pin": SECRET, "region": "eu"}}, context(**{"tags.*": ["@anything"]}))


@pytest.mark.parametrize(
    "repeated",
    ["{", "[", '"', "'", '{"a":', "a", "a ", "a=", "a;", "name=", "name=a\r\n", "<a>", "<a ", "\\", '"a":', "a:\n", "{'"],
)
def test_hostile_texts_cost_what_their_length_costs(repeated: str) -> None:
    scrubber = Scrubber.of(ScrubbingFile(applications={"pin": ("@anything",)}, default_rules=False))

    def scrub(characters: int) -> None:
        text = "{=" + repeated * (characters // len(repeated))
        event: Any = {"request": {"data": text, "headers": [["Cookie", text]]}, "extra": {"a": text}}
        scrubber.scrub(event)

    assert grows_linearly(scrub, 4_000)


def test_what_is_not_secret_stays_in_its_form() -> None:
    texts = ['{"user": "bob", "pinned": 1}', "[1, 2, 3", "pint=5;spin=6", "a: b\npins: c"]
    for text in texts:
        assert json.dumps(text) in scrubbed({"extra": {"body": text}}, PIN)
    assert '"data": "pint=5;spin=6' not in scrubbed({"request": {"data": "x"}}, PIN)


def test_what_was_hidden_in_a_text_is_noted() -> None:
    text = f"callback({{'user': 'bob', 'pin': '{SECRET}'}})"
    event = json.loads(scrubbed({"request": {"data": text}}, BODY_PIN))
    assert event["request"]["data"] == "callback({'user': 'bob', 'pin': '[Filtered]'})"
    [remark] = event["_meta"]["request"]["data"][""]["rem"]
    start, end = remark[2:]
    assert (remark[:2], event["request"]["data"][start:end]) == (["@anything", "s"], "[Filtered]")
    assert event["_meta"]["request"]["data"][""]["len"] == len(text)
