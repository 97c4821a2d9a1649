"""Errors of extensions, and crawlers."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.filters.browsers import is_crawler, is_extension_error


def _event(value: str | None = None, *frames: dict[str, Any] | None) -> Any:
    return {"exception": {"values": [{"type": "TypeError", "value": value, "stacktrace": {"frames": list(frames)}}]}}


@pytest.mark.parametrize(
    "value",
    [
        "undefined is not an object (evaluating 'window.__gCrWeb.autofill.fillForm')",
        "Can't find variable: __gCrWeb",
        "Can't find variable: jigsaw",
        "ZiteReader is not defined",
        "Can't find variable: _AutofillCallbackHandler",
        "'undefined' is not a function (evaluating 'plugin.setSuspendState(true)')",
        "plugin.setSuspendState is not a function. (In 'plugin.setSuspendState(true)', it is undefined)",
        "Invalid call to runtime.sendMessage(). Tab not found.",
        'can\'t redefine non-configurable property "ethereum"',
        "Cannot assign to read only property 'solana' of object '#<Window>'",
    ],
)
def test_an_extension_is_known_by_the_words_of_every_engine(value: str) -> None:
    assert is_extension_error(_event(value))


@pytest.mark.parametrize(
    "value",
    [
        "Can't find variable: cart",
        "cart is not defined",
        "Can't find variable: gmoCart",
        "logmo is not defined",
        "Attempting to change value of a readonly property.",
        None,
        "",
    ],
)
def test_errors_of_the_page_itself_stay(value: str | None) -> None:
    assert not is_extension_error(_event(value, {"abs_path": "https://shop.example/app.js"}))


EXTENSION = {"abs_path": "chrome-extension://abc/content.js"}


@pytest.mark.parametrize(
    ("frames", "is_extension"),
    [
        ([{"filename": "safari-web-extension://abc/x.js"}], True),
        ([EXTENSION, {"abs_path": "<anonymous>"}, {"filename": "[native code]"}], True),
        ([EXTENSION, {"function": "f"}], False),
        ([EXTENSION, None], False),
        ([EXTENSION, {"abs_path": "https://shop.example/app.js"}], False),
        ([], False),
    ],
)
def test_the_newest_frame_with_a_path_decides_and_one_without_ends_the_search(
    frames: list[dict[str, Any] | None], is_extension: bool
) -> None:
    assert is_extension_error(_event("x", *frames)) is is_extension


@pytest.mark.parametrize(
    "header",
    [
        "Mozilla/5.0 (Linux; Android 9; CUBOT) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT X19 Build/PPR1) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; U; Android 7.0; en-us; Cubot Note S) AppleWebKit/537.36",
        "Dalvik/2.1.0 (Linux; U; Android 8.0.0; Spider Build/O00623)",
        "ShopApp/4.2 (Android 11; CUBOT; de)",
        "Mozilla/5.0 (Linux; Android 13; SM-A536B) Chrome/119.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBPN/com.facebook.katana;]",
        "Mozilla/5.0 (compatible; Slackbot 1.0)",
    ],
)
def test_a_device_is_no_crawler_whatever_its_name(header: str) -> None:
    assert not is_crawler(header)


@pytest.mark.parametrize(
    "header",
    [
        "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X) Chrome/99 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://x.example/bot)",
        "Mozilla/5.0 (Linux; Android 7.0;) AppleWebKit/537.36 Mobile Safari/537.36 (compatible; NewBot;+https://x.example)",
        "Mozilla/5.0 (Linux; Android 9; compatible; SomeBot/1.0)",
        "Mozilla/5.0 (Linux; Android 6.0.1; Calypso AppCrawler Build/MMB30Y; wv) AppleWebKit/537.36",
        "Mozilla/5.0 (compatible; GoogleOther)",
        "Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)",
        "Mozilla/5.0 (compatible; Amazonbot/0.1; +https://x.example)",
        "Mozilla/5.0 (compatible; UptimeRobot/2.0; http://x.example/)",
        "kube-probe/1.29",
        "SiteAuditCrawler/1.0",
        "meta-externalagent/1.1",
    ],
)
def test_crawlers_link_previews_and_health_checks_are_known(header: str) -> None:
    assert is_crawler(header)
