from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.queries.fields import FIELDS, FieldKind, Tag, find_field
from pipeline.store.queries.filters import (
    Compares,
    Contains,
    Filter,
    FirstRelease,
    Has,
    HasStatus,
    InGroups,
    Matches,
    Relation,
    Status,
    TextPattern,
    Total,
    TotalIs,
)
from pipeline.store.queries.search import parse_search
from pipeline.store.queries.search_values import SearchError

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = datetime(2026, 1, 31, tzinfo=UTC)
SHORT_IDS = {"SHOP-1A2B": 42}


def parse(text: str) -> tuple[Filter, ...]:
    return parse_search(text, NOW, SHORT_IDS.get)


def matches(name: str, *values: str | TextPattern, negated: bool = False) -> Matches:
    return Matches(find_field(name), values, negated)


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", ()),
        ("  ", ()),
        ("is:unresolved", (HasStatus((Status.UNRESOLVED,)),)),
        ("!is:ignored", (HasStatus((Status.IGNORED,), is_negated=True),)),
        ("is:[resolved, archived]", (HasStatus((Status.RESOLVED, Status.IGNORED)),)),
        ("is:unassigned", ()),
        ("is:assigned", (InGroups(()),)),
        ("!is:assigned", ()),
        ("level:error", (matches("level", "error"),)),
        ("!level:error", (matches("level", "error", negated=True),)),
        ("release:shop@1.2+3", (matches("release", "shop@1.2+3"),)),
        ("user.email:a@b.org", (matches("user.email", "a@b.org"),)),
        ("browser.name:Firefox", (Matches(Tag("browser.name"), ("Firefox",)),)),
        ('browser.name:[Firefox, "Mobile Safari",Opera]', (Matches(Tag("browser.name"), ("Firefox", "Mobile Safari", "Opera")),)),
        ("tags[level]:x", (Matches(Tag("level"), ("x",)),)),
        ('"my key":x', (Matches(Tag("my key"), ("x",)),)),
        ("sentry:release:1", (Matches(Tag("sentry"), ("release:1",)),)),
        ("error.type:*Error", (matches("error.type", TextPattern(("", "Error"))),)),
        (r"error.type:a\*b", (matches("error.type", "a*b"),)),
        ("stack.filename:app/*.js", (matches("stack.filename", TextPattern(("app/", ".js"))),)),
        ('message:"time out"', (matches("message", TextPattern(("", "time out", ""))),)),
        (r'x:"say \"hi\""', (Matches(Tag("x"), ('say "hi"',)),)),
        ('x:""', (Matches(Tag("x"), ("",)),)),
        ("has:user", (Has(FIELDS["user"]),)),
        ("!has:release", (Has(FIELDS["release"], is_negated=True),)),
        ("has:[a,b]", (Has(Tag("a")), Has(Tag("b")))),
        ("timesSeen:>100", (TotalIs(Total.TIMES_SEEN, Relation.MORE, 100),)),
        ("timesSeen:<=2.5k", (TotalIs(Total.TIMES_SEEN, Relation.AT_MOST, 2500),)),
        ("timesSeen:7", (TotalIs(Total.TIMES_SEEN, Relation.EQUAL, 7),)),
        ("lastSeen:>2026-01-31", (TotalIs(Total.LAST_SEEN, Relation.MORE, DAY),)),
        ("lastSeen:-24h", (TotalIs(Total.LAST_SEEN, Relation.AT_LEAST, NOW - timedelta(hours=24)),)),
        ("lastSeen:+2d", (TotalIs(Total.LAST_SEEN, Relation.AT_MOST, NOW - timedelta(days=2)),)),
        ("age:>2d", (TotalIs(Total.FIRST_SEEN, Relation.LESS, NOW - timedelta(days=2)),)),
        (
            "firstSeen:2026-01-31",
            (
                TotalIs(Total.FIRST_SEEN, Relation.AT_LEAST, DAY),
                TotalIs(Total.FIRST_SEEN, Relation.LESS, DAY + timedelta(days=1)),
            ),
        ),
        ("timestamp:>=2026-01-31T01:00:00+01:00", (Compares(FIELDS["timestamp"], Relation.AT_LEAST, DAY),)),
        ("error.handled:false", (Compares(FIELDS["error.handled"], Relation.EQUAL, False),)),
        ("firstRelease:1.*", (FirstRelease((TextPattern(("1.", "")),)),)),
        ("issue:SHOP-1A2B", (InGroups((42,)),)),
        ("issue:[SHOP-1A2B, 18446744073709551615]", (InGroups((42, 2**64 - 1)),)),
        ("id:0123456789abcdef0123456789ABCDEF", (matches("id", "0123456789abcdef0123456789abcdef"),)),
        ("connection refused", (Contains(("connection refused",)),)),
        ("connection level:error refused", (Contains(("connection",)), matches("level", "error"), Contains(("refused",)))),
        ('"connection  refused"', (Contains(("connection  refused",)),)),
        ("!refused", (Contains(("refused",), is_negated=True),)),
        ("connection*refused", (Contains(("connection", "refused")),)),
        ("issue.category:error", ()),
        ("a AND level:error", (Contains(("a",)), matches("level", "error"))),
    ],
)
def test_words(text: str, filters: tuple[Filter, ...]) -> None:
    assert parse(text) == filters


@pytest.mark.parametrize(
    ("text", "word", "problem"),
    [
        ("level:error timesSeen:many", "timesSeen:many", "a number"),
        ("is:broken", "is:broken", "is: takes"),
        ("firstSeen:yesterday", "firstSeen:yesterday", "a time"),
        ("lastSeen:-9999999d", "lastSeen:-9999999d", "a time"),
        ("lastSeen:-999999w", "lastSeen:-999999w", "a time"),
        ("lastSeen:0001-01-01T00:00:00+14:00", "lastSeen:0001-01-01T00:00:00+14:00", "a time"),
        ("!timestamp:2026-01-01", "!timestamp:2026-01-01", "negated"),
        ("error.handled:maybe", "error.handled:maybe", "true or false"),
        ("release:", "release:", "a value is missing"),
        ("x:[a,,b]", "x:[a,,b]", "between its commas"),
        ("x:[]", "x:[]", "between its commas"),
        ("x:[a", "x:[a", "not closed"),
        ('x "never ending', '"never ending', "not closed"),
        ("a OR b", "OR", "no OR"),
        ("id:xyz", "id:xyz", "32 hexadecimal"),
        ("issue:SHOP-9", "issue:SHOP-9", "no such group"),
        ("timesSeen:[1,2]", "timesSeen:[1,2]", "one value"),
        ("assigned:me", "assigned:me", "not kept here"),
        ("x" * 5_000, "x" * 77 + "...", "at most"),
        ("a:b " * 101, "a:b", "at most"),
    ],
)
def test_errors_name_the_word(text: str, word: str, problem: str) -> None:
    with pytest.raises(SearchError) as caught:
        parse(text)
    assert caught.value.word == word
    assert problem in caught.value.problem


def quoted(value: str) -> str:
    """Return a value as a careful user types it."""
    for character in '\\"*':
        value = value.replace(character, f"\\{character}")
    return f'"{value}"'


TEXTS = [field.name for field in FIELDS.values() if field.kind in {FieldKind.TEXT, FieldKind.TEXTS} and field.name != "message"]


@given(st.sampled_from([*TEXTS, "browser.name", "my_tag"]), st.lists(st.text(max_size=30), min_size=1, max_size=4), st.booleans())
def test_a_quoted_value_is_itself(name: str, values: list[str], is_negated: bool) -> None:
    sign = "!" if is_negated else ""
    listed = quoted(values[0]) if len(values) == 1 else f"[{', '.join(map(quoted, values))}]"
    assert parse(f"is:resolved {sign}{name}:{listed} end") == (
        HasStatus((Status.RESOLVED,)),
        matches(name, *values, negated=is_negated),
        Contains(("end",)),
    )


@given(st.text(max_size=60))
def test_a_quoted_key_and_free_text_are_themselves(text: str) -> None:
    if text:
        assert parse(f"{quoted(text).replace(chr(92) + '*', '*')}:1 x")[1] == Contains(("x",))
    if text.strip():
        assert parse(quoted(text)) == (Contains((text.strip(),)),)


@given(
    st.text(max_size=200) | st.lists(st.sampled_from(['"', "\\", "[", "]", ":", "*", "!", " ", "is", "x", ">", ","])).map("".join)
)
def test_any_text_is_understood_or_refused_with_a_word_of_it(text: str) -> None:
    wrong: SearchError | None = None
    try:
        parse(text)
    except SearchError as error:
        wrong = error
    assert wrong is None or (wrong.problem and wrong.word.removesuffix("...") in text)
