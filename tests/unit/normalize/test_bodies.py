"""Bodies, forms, cookies and queries are parsed before they are cut, so that no size hides a key from scrubbing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.records import make_record, project_context

from pipeline.rules.folder import load_rules
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.stages.runner import run

SECRET = "73194-geheim"
RULES = """
[applications]
"$http.data.pin" = ["@anything:mask"]
"$http.cookies.pin" = ["@anything:mask"]
"$http.query_string.pin" = ["@anything:mask"]
"""
FILLER = st.dictionaries(st.text("abcnopqxyz", min_size=1, max_size=3).filter("pin".__ne__), st.integers(0, 12_000), max_size=4)


def json_body(fields: dict[str, str]) -> dict[str, Any]:
    return {"data": json.dumps(fields), "headers": {"Content-Type": "application/json"}}


def form(fields: dict[str, str]) -> dict[str, Any]:
    return {"data": urlencode(fields), "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


def cookie_header(fields: dict[str, str]) -> dict[str, Any]:
    return {"headers": {"Cookie": "; ".join(f"{name}={quote_plus(value)}" for name, value in fields.items())}}


def query_text(fields: dict[str, str]) -> dict[str, Any]:
    return {"query_string": urlencode(fields)}


def query_in_url(fields: dict[str, str]) -> dict[str, Any]:
    return {"url": f"https://shop.example/pay?{urlencode(fields)}"}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "default").mkdir()
    (folder / "default" / "scrubbing.toml").write_text(RULES)
    (folder / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
    return replace(project_context(), rules=load_rules(folder))


def stored(event: dict[str, Any], context: Context) -> str:
    result = run([make_record(json.dumps(event).encode())], context, ERRORS.only("normalize", "scrub"))
    [item] = result.events
    return json.dumps(item.event)


@pytest.mark.parametrize("form_of", [json_body, form, cookie_header, query_text, query_in_url])
@given(before=FILLER, after=FILLER)
@settings(max_examples=40, deadline=None)
def test_no_size_hides_a_secret_from_its_rule(
    form_of: Any, before: dict[str, int], after: dict[str, int], context: Context
) -> None:
    fields = {name: "v" * size for name, size in before.items()}
    fields |= {"pin": SECRET} | {name: "w" * size for name, size in after.items()}
    request = {"url": "https://shop.example/"} | form_of(fields)
    assert SECRET not in stored({"platform": "python", "message": "m", "request": request}, context)


def test_a_large_body_keeps_its_small_fields_and_the_beginning_of_the_large_one(context: Context) -> None:
    request = {"url": "https://shop.example/pay"} | json_body({"user": "bob", "zz": "x" * 9_000})
    body = json.loads(stored({"message": "m", "request": request}, context))["request"]
    assert body["data"]["user"] == "bob"
    assert body["data"]["zz"].startswith("xxx")
    assert len(json.dumps(body["data"])) < 8_300
    assert body["inferred_content_type"] == "application/json"


def test_a_large_text_that_is_no_form_is_cut(context: Context) -> None:
    body = json.loads(stored({"message": "m", "request": {"url": "/", "data": "<xml>" + "y" * 20_000}}, context))["request"]
    assert body["data"].startswith("<xml>yyy")
    assert len(body["data"]) <= 8_192
