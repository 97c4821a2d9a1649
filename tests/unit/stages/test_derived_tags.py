from __future__ import annotations

from typing import Any

import pytest

from pipeline.stages.derived_tags import set_derived_tags


def tags_of(**event: Any) -> dict[str, str]:
    normalized: Any = event
    set_derived_tags(normalized)
    once = [list(tag) for tag in event["tags"]]
    set_derived_tags(normalized)
    assert event["tags"] == once, "setting them twice gives the same result"
    return dict(event["tags"])


@pytest.mark.parametrize(
    ("event", "tags"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"logger": ""}, {}, id="no logger"),
        pytest.param({"logger": "shop.cart"}, {"logger": "shop.cart"}, id="logger"),
        pytest.param(
            {"contexts": {"browser": {"type": "browser", "name": "Firefox", "browser": "Firefox 130.0"}}},
            {"browser": "Firefox 130.0", "browser.name": "Firefox"},
            id="browser",
        ),
        pytest.param(
            {"contexts": {"client_os": {"type": "os", "name": "iOS", "os": "iOS 18", "rooted": False}}},
            {"client_os": "iOS 18", "client_os.name": "iOS", "client_os.rooted": "no"},
            id="system of the sender of a request",
        ),
        pytest.param(
            {"contexts": {"device": {"type": "device", "family": "iPhone"}, "gpu": {"name": "GTX", "vendor_name": "NVIDIA"}}},
            {"device.family": "iPhone", "gpu.name": "GTX", "gpu.vendor": "NVIDIA"},
            id="device without model, gpu without type",
        ),
        pytest.param({"contexts": {"state": {"type": "state", "name": "x"}, "os": None}}, {}, id="others"),
        pytest.param(
            {
                "exception": {
                    "values": [None, {"mechanism": {"type": "onerror", "handled": False}}, {"mechanism": {"type": "chained"}}]
                }
            },
            {"mechanism": "onerror", "handled": "no"},
            id="the first exception's mechanism",
        ),
        pytest.param(
            {"exception": {"values": [{"mechanism": {"type": "generic", "handled": None}}]}},
            {"mechanism": "generic"},
            id="unknown",
        ),
        pytest.param(
            {"request": {"url": "https://a.example/b", "query_string": [["q", "ä b"], None, ["x", None]], "fragment": "top"}},
            {"url": "https://a.example/b?q=%C3%A4+b&x=#top"},
            id="address with query and fragment",
        ),
        pytest.param(
            {"level": "error", "environment": "prod", "transaction": "/pay", "release": "a@1", "dist": "2", "user": {"id": "7"}},
            {
                "level": "error",
                "environment": "prod",
                "transaction": "/pay",
                "sentry:release": "a@1",
                "sentry:dist": "2",
                "sentry:user": "id:7",
            },
            id="columns",
        ),
    ],
)
def test_tags_follow_from_the_event(event: Any, tags: dict[str, str]) -> None:
    assert tags_of(**event) == tags


def test_a_derived_tag_replaces_the_senders_but_an_url_of_its_own_stays() -> None:
    sent = [["handled", "maybe"], ["url", "/mine"], [None, "lost"], None, ["level", "debug"], ["region", "eu"]]
    exception = {"values": [{"mechanism": {"type": "m", "handled": True}}]}
    tags = tags_of(tags=sent, level="error", exception=exception, request={"url": "https://a.example/"})
    assert tags == {"url": "/mine", "region": "eu", "mechanism": "m", "handled": "yes", "level": "error"}


def test_a_long_value_is_cut_as_a_senders_is() -> None:
    assert tags_of(logger="x" * 500) == {"logger": "x" * 197 + "..."}
