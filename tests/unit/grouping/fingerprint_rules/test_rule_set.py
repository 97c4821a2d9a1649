"""Fingerprint rules on events: what each matcher sees, which rule wins, and what hostile events cost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.growth import grows_linearly

from pipeline.globs.glob import Glob
from pipeline.grouping.fingerprint_rules.compiled_rule import CompiledRule
from pipeline.grouping.fingerprint_rules.event_values import EventValues
from pipeline.grouping.fingerprint_rules.parser import parse_fingerprint_rules
from pipeline.grouping.fingerprint_rules.rule_index import RuleMasks
from pipeline.grouping.fingerprint_rules.rule_set import FingerprintRules
from pipeline.model.rule_file import RuleFile
from pipeline.stages.normalize import normalize_event

IN_APP = {"in_app": True}
EVENT: Any = {
    "platform": "python",
    "logger": "shop.cart",
    "level": "error",
    "release": "shop@1.2",
    "logentry": {"formatted": "Cart 5 is gone"},
    "tags": [["region", "eu-1"], ["region", "ignored"]],
    "sdk": {"name": "sentry.python.flask"},
    "exception": {
        "values": [
            {
                "type": "KeyError",
                "value": "No Such Cart",
                "stacktrace": {
                    "frames": [
                        {
                            "function": "main",
                            "module": "shop.app",
                            "filename": "shop/app.py",
                            "abs_path": "/srv/shop/app.py",
                            **IN_APP,
                        },
                        {"function": "get", "module": "werkzeug.local", "package": "/usr/lib/libc.so", "in_app": False},
                    ]
                },
            },
            {"type": "HTTPError"},
        ]
    },
}


def matches(matchers: str, event: Any = EVENT) -> bool:
    return FingerprintRules.load([RuleFile("some.rules", f"{matchers} -> x")]).match(event) is not None


@pytest.mark.parametrize(
    "matchers",
    [
        "type:KeyError",
        "error.type:HTTP*",
        "!type:KeyError",  # the other exception satisfies it
        "value:*such*",
        "message:*such*",
        "message:cart*",
        "logger:shop.* level:ERROR",
        "module:shop.*",
        "path:**/SHOP/*.py",
        "path:shop/app.py",
        "package:/usr/lib/**",
        r"package:\usr\lib\*",
        "function:main app:yes",
        "function:get app:0",
        "tags.region:eu-*",
        "!tags.other:x",
        "release:shop@1.*",
        "sdk:sentry.python",
        "sdk:x,all",
        "family:native,other",
        "family:all",
    ],
)
def test_matches(matchers: str) -> None:
    assert matches(matchers)


@pytest.mark.parametrize(
    "matchers",
    [
        "type:keyerror",
        "type:KeyError value:*HTTP*",
        "type:HTTPError value:*",  # one exception must satisfy both
        "function:main app:no",
        "module:Shop.*",
        "logger:Shop.*",
        "tags.region:ignored",
        "!sdk:sentry.python",
        "sdk:sentry.python.flask",
        "family:javascript",
        "app:maybe",
        "path:app.py",
    ],
)
def test_does_not_match(matchers: str) -> None:
    assert not matches(matchers)


@pytest.mark.parametrize("matchers", ["!module:x", "!logger:x", "!type:x", "!message:x"])
def test_a_group_without_items_satisfies_no_negation(matchers: str) -> None:
    assert not matches(matchers, {"platform": "python"})
    assert matches("!tags.x:y !sdk:sentry.go !family:native", {"platform": "python"})


def test_frames_come_from_threads_only_where_nothing_else_has_any() -> None:
    thread = {"stacktrace": {"frames": [{"function": "park"}]}}
    assert matches("function:park", {"threads": {"values": [thread]}})
    assert not matches("function:park", {"threads": {"values": [thread, thread]}})
    assert not matches("function:park", {**EVENT, "threads": {"values": [thread]}})


def test_an_unset_in_app_is_neither_in_nor_out() -> None:
    event = {"stacktrace": {"frames": [{"function": "f"}]}}
    assert not matches("app:yes", event)
    assert not matches("app:no", event)
    assert matches("!app:yes", event)


def test_the_first_matching_rule_wins_across_files_and_builtin_rules_come_last() -> None:
    project = RuleFile("project.rules", "type:Nope -> never\ntype:KeyError -> project")
    default = RuleFile("default.rules", 'type:* -> default title="{{ type }} of {{ transaction }}"')
    builtin = RuleFile("builtin.rules", "family:all -> builtin")

    assert _match([project, default], builtin, EVENT) == ("project.rules", 2, ["project"], None, False)
    other = {"exception": {"values": [{"type": "E"}]}}
    assert _match([project, default], builtin, other) == ("default.rules", 1, ["default"], "E of <no-transaction>", False)
    assert _match([project, default], builtin, {}) == ("builtin.rules", 1, ["builtin"], None, True)


def _match(files: list[RuleFile], builtin: RuleFile, event: Any) -> tuple[str, int, list[str], str | None, bool]:
    match = FingerprintRules.load(files, builtin).match(event)
    assert match is not None
    return match.rule.file, match.rule.line, match.values, match.title, match.is_builtin


patterns = st.text(alphabet="ab*?/.", min_size=1, max_size=5)
values = st.text(alphabet="abA/.é", max_size=6)
matcher_lines = st.builds(
    lambda negated, key, pattern: f'{"!" if negated else ""}{key}:"{pattern}"',
    st.booleans(),
    st.sampled_from(["type", "value", "message", "module", "path", "package", "function", "logger", "level", "tags.t"]),
    patterns,
)
rule_lines = st.lists(matcher_lines, min_size=1, max_size=3).map(lambda parts: f"{' '.join(parts)} -> x")
frames = st.fixed_dictionaries({}, optional=dict.fromkeys(("function", "module", "package", "filename", "abs_path"), values))
stacks = st.lists(frames).map(lambda found: {"frames": found})
exceptions = st.fixed_dictionaries({}, optional={"type": values, "value": values, "stacktrace": stacks})
events = st.fixed_dictionaries(
    {},
    optional={
        "logger": values,
        "level": values,
        "logentry": values.map(lambda text: {"formatted": text}),
        "tags": values.map(lambda text: [["t", text]]),
        "exception": st.lists(exceptions, max_size=2).map(lambda found: {"values": found}),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(rule_lines, min_size=1, max_size=12), events)
def test_the_index_finds_what_trying_every_rule_finds(lines: list[str], event: Any) -> None:
    text = RuleFile("some.rules", "\n".join(lines))
    rules, _ = parse_fingerprint_rules(text)
    naive = next((rule.line for rule in rules if CompiledRule(rule.matchers).holds(EventValues(event))), None)

    indexed = FingerprintRules.load([text])
    for _ in range(2):  # the second time from the cache
        match = indexed.match(event)
        assert (match.rule.line if match is not None else None) == naive


INNER_KEYS = ["values", "frames", "stacktrace", "type", "name", "function", "formatted", "module"]
OUTER_KEYS = ["exception", "threads", "stacktrace", "logentry", "tags", "sdk", "platform", "logger"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("\ud800")
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER_KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(OUTER_KEYS), junk))
def test_no_event_raises(event: Any) -> None:
    normalized = normalize_event(event, received=1_795_341_600.0, project_id=1, event_id="1" * 32)
    keys = ("type", "module", "path", "tags.x", "sdk", "logger")
    lines = (f'{key}:"*" -> {{{{ {key} }}}}, {{{{ function }}}} title="{{{{ message }}}}"' for key in keys)
    FingerprintRules.load([RuleFile("some.rules", "\n".join(lines))]).match(normalized)


@pytest.mark.parametrize("pattern", ["*a" * 64, "*a?" * 64, "*[ab]" * 64, "?" * 1_024, "**/a" * 32, "*a?b" * 64])
@pytest.mark.parametrize("unit", ["a", "ab", "/a"])
def test_the_worst_pattern_costs_what_the_value_s_length_costs(pattern: str, unit: str) -> None:
    rules = FingerprintRules.load([RuleFile("some.rules", f'message:"{pattern}" path:"{pattern}" -> x')])

    def match(characters: int) -> None:
        text = unit * (characters // len(unit)) + "b"
        rules.match({"logentry": {"formatted": text}, "stacktrace": {"frames": [{"filename": text}]}})

    assert grows_linearly(match, 2_048)


def test_what_is_remembered_is_bounded_for_all_projects_together() -> None:
    masks = RuleMasks(10)
    texts = [f"function:f{number}* -> {number}" for number in range(3)]
    projects = [FingerprintRules.load([RuleFile("some.rules", text)], masks=masks) for text in texts]

    for number in range(20):
        stack: Any = {"stacktrace": {"frames": [{"function": f"f{number}"}, {"function": "x" * 10_000}]}}
        found = [project.match(stack) is not None for project in projects]
        assert found == [f"f{number}".startswith(f"f{project}") for project in range(3)]
        assert 0 < len(masks.masks) <= 10


def test_of_a_thousand_rules_few_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    accepts = Glob.accepts

    def watched(glob: Glob, value: str) -> bool:
        tried.append(value)
        return accepts(glob, value)

    monkeypatch.setattr(Glob, "accepts", watched)
    lines = (f'path:"**/lib{number}/**/file_{number}.py" function:do_{number}* -> {number}' for number in range(1_000))
    many = FingerprintRules.load([RuleFile("some.rules", "\n".join(lines))])
    for turn in range(30):
        frames: Any = [{"function": f"f{turn}_{number}", "filename": f"src/{turn}/{number}.py"} for number in range(25)]
        frames.append({"function": f"do_{turn}", "filename": f"src/lib{turn}/x/file_{turn}.py"})
        found = many.match({"stacktrace": {"frames": frames}})
        assert found is not None
        assert found.values == [str(turn)]
    paths = 30 * 26
    assert 30 <= len(tried) < 2 * paths, "a path is held against one or two of the thousand patterns"
