r"""Search words as users of Sentry type them, as typed filters. All words must hold.

    is:unresolved  is:resolved  is:ignored              the group's status
    level:error  release:shop@1.2  user.email:a@b.org   a field (fields.py), or else a tag of that name
    browser.name:[Firefox, "Mobile Safari"]             one of several values
    !environment:staging  has:user  !has:release        not; whether there is a value at all
    url:*checkout*  message:"time out"                  wildcards, and texts with blanks; \* is a star, \" a quote
    timesSeen:>100  firstSeen:-24h  lastSeen:<2026-01-31  totals of the group; times are absolute or relative
    timestamp:>=2026-01-31T10:00:00  id:...  issue:SHOP-1A2B
    anything else                                       title or message contain it

A word that cannot be understood raises SearchError, which names it. See docs/api.md, "Search".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from pipeline.store.queries.fields import AnyField, EventField, FieldKind, Tag, find_field
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
from pipeline.store.queries.search_values import (
    SearchError,
    Value,
    comparison_of,
    cut_words,
    parse_flag,
    parse_id,
    parse_number,
    parse_times,
    parse_values,
    unquoted,
)

MAX_CHARS = 4_096
MAX_WORDS = 100

FindGroup = Callable[[str], int | None]
"""Finds a group by its short id, such as SHOP-1A2B. Returns None for an unknown one."""

_STATUSES = {
    "unresolved": Status.UNRESOLVED,
    "resolved": Status.RESOLVED,
    "ignored": Status.IGNORED,
    "archived": Status.IGNORED,
    "muted": Status.IGNORED,
}
_EVERYBODY = {"unassigned": False, "unlinked": False, "assigned": True, "linked": True}
"""Words about people and trackers that are not kept here, and whether they would need one. Every group is unassigned."""
_TOTALS = {
    "timesSeen": Total.TIMES_SEEN,
    "times_seen": Total.TIMES_SEEN,
    "userCount": Total.USER_COUNT,
    "user_count": Total.USER_COUNT,
    "firstSeen": Total.FIRST_SEEN,
    "first_seen": Total.FIRST_SEEN,
    "lastSeen": Total.LAST_SEEN,
    "last_seen": Total.LAST_SEEN,
    "age": Total.FIRST_SEEN,
}
_TIMES = {Total.FIRST_SEEN, Total.LAST_SEEN}
_NOT_KEPT = frozenset(
    {"assigned", "assigned_to", "assigned_or_suggested", "bookmarks", "subscribed", "issue.priority", "suspect"}
)
_KEY = re.compile(r'(?P<not>!?)(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|(?P<tag>tags\[[^\]"]+\])|(?P<plain>[\w.@/-]+)):')
_OPPOSITE = {
    Relation.LESS: Relation.MORE,
    Relation.MORE: Relation.LESS,
    Relation.AT_MOST: Relation.AT_LEAST,
    Relation.AT_LEAST: Relation.AT_MOST,
    Relation.EQUAL: Relation.EQUAL,
}


def parse_search(text: str, now: datetime, find_group: FindGroup | None = None) -> tuple[Filter, ...]:
    """Return the filters of a search; none for an empty one. `now` is what relative times are counted from.

    Raises SearchError.
    """
    if len(text) > MAX_CHARS:
        raise SearchError(text, f"a search has {MAX_CHARS:,} characters at most")
    filters: list[Filter] = []
    free: list[str] = []

    def end_of_free_text() -> None:
        if free:
            filters.append(_contains(" ".join(free)))
            free.clear()

    for word in cut_words(text):
        match = _KEY.match(word)
        if match is None:
            if word == "AND":
                continue
            if word in {"OR", "(", ")"} or (word.startswith("(") and ":" in word):
                raise SearchError(word, "only words that must all hold are supported: no OR, no brackets")
            is_negated = word.startswith("!") and len(word) > 1
            if is_negated:
                end_of_free_text()
                filters.append(_contains(unquoted(word[1:]).raw, is_negated=True))
            elif said := unquoted(word).raw.strip():
                free.append(said)
            continue
        end_of_free_text()
        key = Value(match["quoted"], is_quoted=True).text if match["quoted"] else match["tag"] or match["plain"]
        filters += _filters(word, key, word[match.end() :], bool(match["not"]), now, find_group)
        if len(filters) > MAX_WORDS:
            raise SearchError(word, f"a search has {MAX_WORDS} words at most")
    end_of_free_text()
    return tuple(filters)


def _filters(word: str, key: str, raw: str, is_negated: bool, now: datetime, find_group: FindGroup | None) -> Iterator[Filter]:
    """Yield what a word with a key means."""
    if not raw:
        raise SearchError(word, 'a value is missing after the colon; quote the word if it is text, and "" means no value')
    values = tuple(parse_values(word, raw))
    if key == "is":
        yield from _status(word, values, is_negated)
    elif key == "has":
        for value in values:
            yield Has(find_field(value.text), is_negated)
    elif key in _TOTALS:
        yield from _totals(word, _TOTALS[key], values, is_negated, now, is_age=key == "age")
    elif key in {"issue", "issue.id", "group"}:
        yield InGroups(tuple(_group(word, value.text, find_group) for value in values), is_negated)
    elif key in {"firstRelease", "first-release", "first_release"}:
        yield FirstRelease(tuple(value.wild for value in values), is_negated)
    elif key in {"issue.category", "issue.type"}:
        if any(value.text != "error" for value in values):
            raise SearchError(word, "only errors are kept here")
    elif key in _NOT_KEPT:
        raise SearchError(word, f"{key} is not kept here")
    else:
        yield from _field(word, find_field(key), values, is_negated, now)


def _status(word: str, values: tuple[Value, ...], is_negated: bool) -> Iterator[Filter]:
    statuses = []
    for value in values:
        status = _STATUSES.get(value.text)
        if status is not None:
            statuses.append(status)
        elif value.text in _EVERYBODY:
            if _EVERYBODY[value.text] != is_negated:
                yield InGroups(())
        else:
            raise SearchError(word, f"is: takes {', '.join(sorted({*_STATUSES, *_EVERYBODY}))}")
    if statuses:
        yield HasStatus(tuple(statuses), is_negated)


def _totals(
    word: str, total: Total, values: tuple[Value, ...], is_negated: bool, now: datetime, *, is_age: bool
) -> Iterator[Filter]:
    if len(values) > 1:
        raise SearchError(word, "totals of a group take one value, such as >100")
    comparison, rest = comparison_of(values[0])
    if total not in _TIMES:
        yield TotalIs(total, comparison, parse_number(word, rest), is_negated)
        return
    if is_age and comparison is not Relation.EQUAL and not rest.startswith("-"):
        comparison, rest = _OPPOSITE[comparison], f"-{rest}"  # an age of more than a day began before
    yield from (TotalIs(total, one, at, is_negated) for one, at in parse_times(word, comparison, rest, is_negated, now))


def _field(word: str, field: AnyField, values: tuple[Value, ...], is_negated: bool, now: datetime) -> Iterator[Filter]:
    if isinstance(field, Tag) or field.kind in {FieldKind.TEXT, FieldKind.TEXTS}:
        texts = tuple(value.wild for value in values)
        if isinstance(field, EventField) and field.name == "message":
            texts = tuple(TextPattern(("", text, "")) if isinstance(text, str) and text else text for text in texts)
        yield Matches(field, texts, is_negated)
    elif field.kind is FieldKind.ID:
        yield Matches(field, tuple(parse_id(word, value.text) for value in values), is_negated)
    elif len(values) > 1:
        raise SearchError(word, f"{field.name} takes one value")
    else:
        comparison, rest = comparison_of(values[0])
        if field.kind is FieldKind.TIME:
            yield from (Compares(field, one, at, is_negated) for one, at in parse_times(word, comparison, rest, is_negated, now))
        elif field.kind is FieldKind.NUMBER:
            yield Compares(field, comparison, parse_number(word, rest), is_negated)
        else:
            yield Compares(field, Relation.EQUAL, parse_flag(word, rest), is_negated)


def _group(word: str, text: str, find_group: FindGroup | None) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) < 2**64:
        return int(text)
    found = find_group(text) if find_group is not None else None
    if found is None:
        raise SearchError(word, "no such group")
    return found


def _contains(raw: str, *, is_negated: bool = False) -> Contains:
    wild = Value(raw, is_quoted=False).wild
    return Contains((wild,) if isinstance(wild, str) else wild.pieces, is_negated)
