"""Tokens in messages: ids, hashes, temporary names and values of JSON, and words that must stay."""

from __future__ import annotations

import pytest
from support.growth import grows_linearly

from pipeline.grouping.parameterization.messages import MAX_CHARS, kinds_of, normalize_message, parameterize
from pipeline.grouping.parameterization.tokens import looks_random

DATE = "2026-12-01"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("no cart 01ARZ3NDEKTSV4RRFFQ69G5FAV", "no cart <ulid>"),
        ("No such customer: cus_NffrFeUfNV2Hib", "No such customer: cus_<random_id>"),
        ("No such customer: cus_NffrFeUfNVkHib", "No such customer: cus_<random_id>"),
        ("key sk_live_51H8xYz2eZvKYlo2C", "key sk_live_<random_id>"),
        ("request req_a1b2c3d4e5", "request req_<random_id>"),
        ("user_12345 is gone", "user_<int> is gone"),
        ("session V1StGXR8_Z5jdHi6B-myT expired", "session <random_id> expired"),
        ("pod shop-6d4cf56db6-x7k2p is gone", "pod shop-<random_id> is gone"),
        ("bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123_-x", "bad token <jwt>"),
        ("key AKIAIOSFODNN7EXAMPLE", "key <access_key>"),
        ('property "__reactFiber$b6c78e70asw"', 'property "__reactFiber$<random_id>"'),
        ("cannot load index-DbQ2xY9p.js", "cannot load index.<hash>.js"),
        ("cannot load /assets/Cart-BkLapQxa.css", "cannot load /assets/Cart.<hash>.css"),
        ("main.3f2a91c0.chunk.js", "main.<hash>.chunk.js"),
        ("No such file: '/tmp/tmpa1b2c3d4/in.csv'", "No such file: '/tmp/<temporary>/in.csv'"),
        ("No such file: '/tmp/tmpabcdefgh/in.csv'", "No such file: '/tmp/<temporary>/in.csv'"),
        ("C:\\Users\\x\\AppData\\Local\\Temp\\tmp12ab.tmp", "C:\\Users\\x\\AppData\\Local\\Temp\\<temporary>"),
        ('{"id": "a", "order": "b"}', '{"id": <json_value>, "order": <json_value>}'),
        ('{"error": "order 12 is gone", "id": "x"}', '{"error": "order <int> is gone", "id": <json_value>}'),
        ("{'id': 'it\\'s'}", "{'id': <json_value>}"),
        ('{"id": "cut of', '{"id": <json_value>'),
        ('RELEASE SAVEPOINT "s140177518376768_x2"', 'RELEASE SAVEPOINT "s<int>_x2"'),
        ("failed with status code 404", "failed with status code <status_code>"),
        ("Minified React error #418; visit https://react.dev/errors/418?args[]=a", "Minified React error #418; visit <url>"),
        ("see https://x.example/cus_NffrFeUfNV2Hib", "see <url>"),
        ("at 2026-01-02T03:04:05Z", "at <date>"),
        ("id 550e8400-e29b-41d4-a716-446655440000", "id <uuid>"),
        ("commit 3f2a91c", "commit <git_sha>"),
        ("mail to foo_abc123XYZ456@example.com", "mail to <email>"),
    ],
)
def test_a_value_becomes_its_kind(text: str, becomes: str) -> None:
    assert parameterize(text, DATE) == becomes


@pytest.mark.parametrize(
    "text",
    [
        *(
            "cannot load checkout-settings.js",
            "no such customer: administrator",
            'access to property "length"',
            '{"event": "paid"}',
        ),
        *(
            "Base64EncoderV2Helper failed",
            "x86_64-linux-gnu",
            "utf8mb4_0900_ai_ci",
            "SHA256withRSA",
            "iPhone14Pro",
            "getUserById2",
        ),
        *(
            "http2_protocol_error",
            "react-dom.production.min.js",
            "sha_256",
            "error_404",
            "HTTP_404",
            "cus_findUserByName",
            "Cart$Item",
        ),
        *("No such file: '/tmp/cache/in.csv'", "", "'", '"a" : ', "com.example.Foo2Bar$Baz"),
    ],
)
def test_words_stay(text: str) -> None:
    assert parameterize(text, DATE) == text


def test_the_operator_chooses_what_is_kept() -> None:
    text = "customer cus_NffrFeUfNV2Hib: status code 404, attempt 3"

    assert parameterize(text, DATE, frozenset({"status_code"})) == "customer cus_<random_id>: status code 404, attempt <int>"
    assert (
        parameterize(text, DATE, frozenset({"prefixed_id", "int"}))
        == "customer cus_NffrFeUfNV2Hib: status code <status_code>, attempt 3"
    )
    assert parameterize("a@b.c 1", "2023-01-11", frozenset({"email"})) == "a@b.c <int>"
    assert {"email", "status_code", "ulid", "int"} <= set(kinds_of(DATE))
    assert "ulid" not in kinds_of("2023-01-11")


def test_a_second_time_changes_nothing() -> None:
    text = '{"id": "x"} cus_NffrFeUfNV2Hib index-DbQ2xY9p.js /tmp/tmpa1b2c3d4 01ARZ3NDEKTSV4RRFFQ69G5FAV user_12345 status 404'
    once = normalize_message(text, DATE)
    assert normalize_message(once, DATE) == once


@pytest.mark.parametrize("text", ["deadbeef01", "2026-01-02T03", "short1A"])
def test_hexadecimal_texts_and_dates_are_not_random(text: str) -> None:
    assert not looks_random(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a1",
        "a_",
        '"a":',
        "/tmp/",  # noqa: S108 -- a piece of a message
        "a-",
        "eyJaaaa.",
        "x.js",
        '":"',
        "a.b-",
        "'\":'",
        "a_b_c_d_aaaaaaaa",
        "\\Temp\\",
        "__react",
        "'",
        "A1b",
    ],
)
def test_the_cost_of_a_hostile_text_stays_small(piece: str) -> None:
    assert grows_linearly(lambda size: parameterize((piece * size)[:size], DATE), MAX_CHARS // 4)
