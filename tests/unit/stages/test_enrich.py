from __future__ import annotations

from typing import Any

import pytest

from pipeline.stages.enrich import add_client_contexts, name_device_family

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/16.5 Mobile/15E148 Safari/604.1"
)


def _contexts(headers: list[Any], **event: Any) -> Any:
    normalized: Any = event | {"request": {"headers": headers}}
    add_client_contexts(normalized)
    contexts: dict[str, Any] = normalized.get("contexts", {})
    return contexts


def test_a_browsers_system_is_the_programs_own() -> None:
    contexts = _contexts([["User-Agent", CHROME]], platform="javascript")
    assert contexts["os"] == {"name": "Windows", "os": "Windows >=10", "type": "os", "version": ">=10"}
    assert contexts["browser"]["browser"] == "Chrome 120.0.0"


def test_a_servers_visitor_has_a_system_of_its_own() -> None:
    contexts = _contexts([["User-Agent", PHONE]], platform="python", contexts={"os": {"name": "Linux"}})
    assert contexts["client_os"]["os"] == "iOS 16.5"
    assert contexts["os"] == {"name": "Linux"}
    assert contexts["device"] == {"family": "iPhone", "brand": "Apple", "model": "iPhone", "type": "device"}


def test_what_the_sender_named_wins() -> None:
    own = {"browser": {"name": "Own"}, "device": {"model": "x"}}
    contexts = _contexts([["User-Agent", PHONE]], contexts=dict(own))
    assert {name: contexts[name] for name in own} == own


def test_hints_go_before_the_header() -> None:
    headers = [
        ["User-Agent", CHROME],
        ["Sec-CH-UA", '"Not.A/Brand";v="8", "Chromium";v="114", "Google Chrome";v="114"'],
        ["Sec-CH-UA-Platform", '"macOS"'],
        ["Sec-CH-UA-Platform-Version", '"13.2.1"'],
        ["Sec-CH-UA-Model", '"Pixel 7"'],
    ]
    contexts = _contexts(headers)
    assert contexts["browser"]["browser"] == "Chrome 114"
    assert contexts["client_os"]["os"] == "macOS 13.2.1"
    assert contexts["device"] == {"name": "Pixel 7", "model": "Pixel 7", "type": "device"}


@pytest.mark.parametrize("headers", [[], [None], [["User-Agent", None]], [["User-Agent", "-"]], [["User-Agent", "x" * 100_000]]])
def test_headers_that_say_nothing_add_nothing(headers: list[Any]) -> None:
    assert _contexts(headers) == {}


@pytest.mark.parametrize(
    ("device", "family"),
    [
        ({"model": "iPhone14,5"}, "iPhone"),
        ({"model": "MacBookPro18,3"}, "MacBookPro"),
        ({"model": "Pixel 7 Pro"}, "Pixel"),
        ({"model": "SM-G991B"}, "SM-G991B"),
        ({"model": "iPhone14,5", "family": "iOS"}, "iOS"),
        ({"model": " "}, None),
        ({"model": None}, None),
        ({"name": "x"}, None),
    ],
)
def test_a_device_has_the_family_of_its_model(device: dict[str, Any], family: str | None) -> None:
    event: Any = {"contexts": {"device": dict(device)}}
    for _ in range(2):
        name_device_family(event)
        assert event["contexts"]["device"] == device | ({"family": family} if family else {})
