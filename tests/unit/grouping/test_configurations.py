"""What the project's own configuration groups differently from `newstyle:2023-01-11`."""

from __future__ import annotations

from typing import Any

import pytest
from support.grouping import make_grouper

from pipeline.grouping.strategies.java_names import clean_function, clean_module
from pipeline.grouping.strategies.script_names import strip_bundle_hash

OWN = 'strategy = "pipeline:2026-11-22"\n'
PUBLISHED = 'strategy = "newstyle:2023-01-11"\n'


def _hashes(event: Any, toml: str) -> tuple[str, ...]:
    return make_grouper(toml=toml).group(event).hashes


def _stack(platform: str, **frame: Any) -> Any:
    frames = [{"function": "main", "in_app": True}, {"function": "f", "in_app": True} | frame]
    return {"platform": platform, "exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": frames}}]}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_stack("javascript", filename="app.3f2a91c.js"), _stack("javascript", filename="app.77b0e1d.js")),
        (_stack("node", filename="dist/index-BcD3fGh1.mjs"), _stack("node", filename="dist/index-Kq9xWz0P.mjs")),
        (_stack("javascript", module="static/main.8a7c3f21"), _stack("javascript", module="static/main.0b9d4e57")),
        (_stack("java", module="shop.Cart$$Lambda$14/0x00080084"), _stack("java", module="shop.Cart$$Lambda$9/0x00770001")),
        (_stack("java", module="com.sun.proxy.$Proxy42"), _stack("java", module="com.sun.proxy.$Proxy7")),
        (
            _stack("java", module="shop.Cart", function="lambda$pay$3"),
            _stack("java", module="shop.Cart", function="lambda$pay$12"),
        ),
    ],
)
def test_names_that_differ_from_build_to_build_are_one_only_in_ours(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert _hashes(one, OWN) == _hashes(other, OWN)
    if one["platform"] != "java":  # `newstyle` drops such Java names as a whole
        assert _hashes(one, PUBLISHED) != _hashes(other, PUBLISHED)


def test_java_lambdas_of_two_methods_are_told_apart_only_in_ours() -> None:
    pay, refund = (_stack("java", module="shop.Cart", function=f"lambda${name}$0") for name in ("pay", "refund"))

    assert _hashes(pay, OWN) != _hashes(refund, OWN)
    assert _hashes(pay, PUBLISHED) == _hashes(refund, PUBLISHED)


@pytest.mark.parametrize(("abs_path", "dropped"), [("https://shop.example/app.js", PUBLISHED), ("app.js", OWN)])
def test_a_lone_nameless_script_frame_is_dropped_where_it_says_nothing(abs_path: str, dropped: str) -> None:
    frame = {"filename": "app.js", "abs_path": abs_path, "lineno": 1, "colno": 2, "in_app": True, "module": "app"}
    event: Any = {"platform": "javascript", "stacktrace": {"frames": [frame]}}

    for toml in (OWN, PUBLISHED):
        assert ("fallback" in make_grouper(toml=toml).explain(event).variants) == (toml == dropped)


def test_type_comes_before_the_stack_in_ours() -> None:
    for toml, first in ((OWN, "type"), (PUBLISHED, "stacktrace")):
        component = make_grouper(toml=toml).explain(_stack("python")).variants["system"].component
        assert component is not None
        assert component.values[0].values[0].id == first


def test_an_unknown_variable_is_flagged_only_in_ours() -> None:
    for toml, value in ((OWN, "<unrecognized-variable-colour>"), (PUBLISHED, "{{ colour }}")):
        event: Any = {"platform": "python", "fingerprint": ["a", "{{ colour }}", "{{ level }}"], "level": "error"}
        assert make_grouper(toml=toml).explain(event).variants["custom-fingerprint"].values == ("a", value, "error")


def test_a_fingerprint_that_is_the_message_is_parameterized_only_in_ours() -> None:
    for toml, value in ((OWN, "order <int> is gone"), (PUBLISHED, "order 17 is gone")):
        for sent in ("{{ message }}", "{{ value }}", "order 17 is gone"):
            exception = {"type": "E", "value": "order 17 is gone"}
            event: Any = {"platform": "python", "fingerprint": [sent, "n 17"], "exception": {"values": [exception]}}
            assert make_grouper(toml=toml).explain(event).variants["custom-fingerprint"].values == (value, "n 17")


def test_processes_that_python_spawns_start_alike_only_in_ours() -> None:
    line = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd={}, pipe_handle={})"
    one, other = (_stack("python", context_line=line.format(*numbers), filename="<string>") for numbers in ((5, 27), (6, 31)))

    assert _hashes(one, OWN) == _hashes(other, OWN)
    assert _hashes(one, PUBLISHED) != _hashes(other, PUBLISHED)


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("app.3f2a91c.js", "app.js"),
        ("app-77b0e1d.min.js", "app.min.js"),
        ("2.f3a91c0d.chunk.js", "2.chunk.js"),
        ("chunk-K3F7QJ2A.js", "chunk.js"),
        ("index-BRaOpQjw.js", "index.js"),
        ("assets/index-D3xkP9aQ.mjs", "assets/index.mjs"),
        ("static/js/main.8a7c3f21", "static/js/main"),
        ("index-Dx-3kA9f.js", "index.js"),
        ("user_api-B_9sK2dx.js", "user_api.js"),
        ("0a1b2c3d4e5f6a7b8c9d.js", "<hash>.js"),
    ],
)
def test_strips_the_hash_of_a_bundle(name: str, stripped: str) -> None:
    assert strip_bundle_hash(name) == stripped
    assert strip_bundle_hash(stripped) == stripped


@pytest.mark.parametrize(
    "name",
    [
        "app.js",
        "jquery-3.6.0.min.js",
        "react-dom.production.min.js",
        "shop-CartPage.js",
        "chunk-vendors2.js",
        "angular-translate.js",
        "app.facade.js",
        "d3-selection.js",
        "polyfills-es2015.js",
        "admin.user_api.js",
        "view-HTMLTags.js",
        "view-JSONData.js",
        "chart-3d-views.js",
        "node-my-thing.js",
        "page-Top-View.js",
        "a" * 2_000 + ".3f2a91c.js",
        "",
    ],
)
def test_leaves_the_names_that_people_give(name: str) -> None:
    assert strip_bundle_hash(name) == name


@pytest.mark.parametrize(
    ("module", "published", "own"),
    [
        ("sun.reflect.GeneratedMethodAccessor12", "sun.reflect.GeneratedMethodAccessor", "sun.reflect.GeneratedMethodAccessor"),
        ("jdk.internal.reflect.GeneratedMethodAccessor3.x",) + ("jdk.internal.reflect.GeneratedMethodAccessor",) * 2,
        ("sun.reflect.GeneratedConstructorAccessor9",) + ("sun.reflect.GeneratedConstructorAccessor<auto>",) * 2,
        ("a.B$$EnhancerBySpringCGLIB$$1ebdddb5_1",) + ("a.B$$EnhancerBySpringCGLIB$$<auto>",) * 2,
        ("a.B$$FastClassByCGLIB$$e7645040",) + ("a.B$$FastClassByCGLIB$$<auto>",) * 2,
        ("a.B_$$_javassist_seam_12",) + ("a.B_$$_javassist<auto>",) * 2,
        ("a.b$fn__12345",) + ("a.b$fn__<auto>",) * 2,
        ("a.B$HibernateProxy$aBc1",) + ("a.B$HibernateProxy$<auto>",) * 2,
        ("a.B$$Lambda$14/0x800", "a.B$$Lambda$14/0x800", "a.B$$Lambda<auto>"),
        ("jdk.proxy2.$Proxy42", "jdk.proxy2.$Proxy42", "jdk.proxy2.$Proxy<auto>"),
        ("a.Plain", "a.Plain", "a.Plain"),
    ],
)
def test_cleans_generated_java_classes(module: str, published: str, own: str) -> None:
    assert clean_module(module, generated=False)[0] == published
    assert clean_module(module, generated=True)[0] == own


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [("lambda$pay$3", "lambda$pay"), ("lambda$0", "lambda"), ("pay$lambda-2", "pay$lambda"), ("pay", "pay"), ("pay$3", "pay$3")],
)
def test_drops_the_number_of_a_java_lambda(name: str, cleaned: str) -> None:
    assert clean_function(name) == cleaned
