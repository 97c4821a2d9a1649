from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.ids import parse_debug_id, parse_uuid
from pipeline.model.ip_address import parse_ip

DIGITS = "dfb8e43af2423d73a4538aeb6a777ef7"
DASHED = "dfb8e43a-f242-3d73-a453-8aeb6a777ef7"


@pytest.mark.parametrize("sent", [DIGITS, DASHED, DASHED.upper(), f"{{{DASHED}}}", f"urn:uuid:{DASHED}"])
def test_a_uuid_has_four_forms(sent: str) -> None:
    assert parse_uuid(sent) == DIGITS


@pytest.mark.parametrize(
    "sent",
    [None, 1, "", DIGITS[1:], DIGITS + "0", f"{{{DASHED}", f"{DASHED}}}", f"urn:uuid:{DASHED}}}", f" {DASHED}", f"{DASHED}\n",
     "+" + DIGITS[1:], DIGITS[:16] + "-" + DIGITS[16:], "g" + DIGITS[1:], "٣" + DIGITS[1:]],
)  # fmt: skip
def test_what_only_resembles_a_uuid_is_none(sent: Any) -> None:
    assert parse_uuid(sent) is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (DIGITS.upper(), DASHED),
        (f"{DASHED}-0", DASHED),
        (f"{DASHED}-00", DASHED),
        (f"{DIGITS}0A", f"{DASHED}-a"),
        (f"{DASHED}-10", f"{DASHED}-10"),
        (f"{DASHED}-123456789", None),
        (f" {DASHED}", None),
        (DIGITS[1:], None),
        (7, None),
    ],
)
def test_debug_ids_have_dashes_and_an_appendix_that_is_not_zero(sent: Any, expected: str | None) -> None:
    assert parse_debug_id(sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"), [("192.0.2.1", "192.0.2.1"), ("2001:DB8::0:1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1%eth0")]
)
def test_addresses_have_one_form(sent: str, expected: str) -> None:
    assert str(parse_ip(sent)) == expected


@pytest.mark.parametrize(
    "sent", ["", "192.0.2", "192.0.2.256", "example.com", "{{auto}}", "1" * 1_000_000, f"fe80::1%{'e' * 60}"]
)
def test_what_is_no_address_is_none(sent: str) -> None:
    assert parse_ip(sent) is None
