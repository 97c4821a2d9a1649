"""Variables of fingerprints and titles."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.grouping.fingerprint_rules.sdk_names import normalize_sdk_name
from pipeline.grouping.fingerprint_rules.variables import expand, is_default, is_unknown, resolve

EVENT: Any = {
    "transaction": "/cart",
    "level": "error",
    "logger": "shop",
    "tags": [["region", "eu"], None, ["count", "5"], [None, "x"], ["count", "6"], ["empty", None]],
    "logentry": {"message": "template %s", "formatted": "formatted"},
    "exception": {
        "values": [
            {"type": "First", "value": "one"},
            {
                "type": "Last",
                "value": "two",
                "stacktrace": {
                    "frames": [
                        {
                            "function": "outer",
                            "filename": "a.c",
                            "abs_path": "/src/a.c",
                            "module": "m",
                            "package": "C:\\bin/app\\x.dll",
                            "in_app": True,
                        },
                        {"function": "inner", "filename": "b.c"},
                    ]
                },
            },
        ]
    },
}


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("transaction", "/cart", "<no-transaction>"),
        ("message", "formatted", "<no-message>"),
        ("type", "Last", "<no-type>"),
        ("error.type", "Last", "<no-type>"),
        ("value", "two", "<no-value>"),
        ("error.value", "two", "<no-value>"),
        ("function", "outer", "<no-function>"),
        ("stack.function", "outer", "<no-function>"),
        ("path", "/src/a.c", "<no-abs-path>"),
        ("stack.abs_path", "/src/a.c", "<no-abs-path>"),
        ("stack.filename", "a.c", "<no-filename>"),
        ("module", "m", "<no-module>"),
        ("stack.module", "m", "<no-module>"),
        ("package", "x.dll", "<no-package>"),
        ("stack.package", "x.dll", "<no-package>"),
        ("level", "error", "<no-level>"),
        ("logger", "shop", "<no-logger>"),
        ("tags.region", "eu", "<no-value-for-tag-region>"),
        ("tags.count", "5", "<no-value-for-tag-count>"),
    ],
)
def test_a_variable_is_read_from_the_event_or_says_what_is_missing(name: str, value: str, missing: str) -> None:
    assert resolve(f"{{{{ {name} }}}}", EVENT) == value
    assert resolve(f"{{{{{name}}}}}", {}) == missing


@pytest.mark.parametrize("text", ["plain", "{{ default }}", "{{ nonsense }}", "{{ type }} x", " {{ type }}", "{{type}}-{{type}}"])
def test_what_is_no_single_known_variable_stays_text(text: str) -> None:
    assert resolve(text, EVENT) == text


def test_default_and_unknown_are_told_apart() -> None:
    assert is_default("{{default}}")
    assert not is_default("{{ default }} x")
    assert is_unknown("{{ nonsense }}")
    assert not any(map(is_unknown, ["{{ default }}", "{{ type }}", "{{ tags.x }}", "text"]))


def test_a_title_takes_variables_anywhere() -> None:
    assert expand("{{ type }} in {{ transaction }} ({{ nope }})", EVENT) == "Last in /cart ({{ nope }})"


def test_the_last_exception_counts_though_it_is_null() -> None:
    stack = {"frames": [{"function": "f", "in_app": True}]}
    event: Any = {"exception": {"values": [{"type": "A", "value": "v", "stacktrace": stack}, None]}}
    names = ("type", "value", "message", "function")
    assert [resolve(f"{{{{ {name} }}}}", event) for name in names] == [f"<no-{name}>" for name in names]


def test_the_message_falls_back_to_template_and_exception() -> None:
    assert resolve("{{ message }}", {"logentry": {"message": "template"}}) == "template"
    assert resolve("{{ message }}", {"exception": {"values": [{"value": "v"}]}}) == "v"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentry.python.flask", "sentry.python"),
        ("sentry-ruby", "sentry.ruby"),
        ("sentry.javascript.nextjs", "sentry.javascript.nextjs"),
        ("sentry.javascript.react-native", "sentry.javascript.react.native"),
        ("sentry.laravel", "sentry.php"),
        ("sentry.native.android.flutter", "sentry.native.android"),
        ("acme.logger", "other"),
        ("sentry.acme", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_sdk_names_are_folded(name: str | None, expected: str) -> None:
    assert normalize_sdk_name(name) == expected
