"""`pipeline rules` and `pipeline groups`, run as a user would, on rules and events made for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline.cli.groups import groups
from pipeline.cli.rules import rules

SHIPPED = Path(__file__).parents[3] / "rules"


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"event_id": f"{number:032x}", "platform": "other", "timestamp": 1_700_000_000, **fields}


EVENTS = [
    *(event(number, message="cart is gone", logger="a", tags={"region": f"r{number % 2}"}) for number in range(4)),
    event(10, message="alpha failed", logger="b"),
    event(11, message="beta failed", logger="b"),
    event(12, message="steady", logger="c"),
    event(13, message="renamed", logger="d"),
]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Make a rules folder with these fingerprint rules."""

    def make(name: str, *lines: str) -> Path:
        path = tmp_path / name
        shutil.copytree(SHIPPED, path)
        (path / "default" / "fingerprints.rules").write_text("\n".join(lines) + "\n")
        return path

    return make


def run(*arguments: object) -> Result:
    return CliRunner().invoke(rules, [str(argument) for argument in arguments], catch_exceptions=False)


def test_diff_reports_a_planted_merge_split_and_move(folder: Callable[..., Path], inputs: Path) -> None:
    old = folder("old")
    new = folder("new", "logger:a -> {{ default }}, {{ tags.region }}", "logger:b -> failed", "logger:d -> other name")

    result = run("diff", old, new, inputs, "--project", 1, "--now", "2023-11-15", "--json")

    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert (body["events"], body["changed_events"], body["groups_before"], body["groups_after"]) == (8, 7, 5, 5)
    assert [(change["kind"], change["events"]) for change in body["changes"]] == [("split", 4), ("merge", 2), ("move", 1)]
    (move,) = body["changes"][2]["flows"]
    assert move["examples"] == [{"event_id": f"{13:032x}", "origin": f"{inputs}:8", "title": "renamed"}]


def test_diff_for_people_names_groups_events_and_examples(folder: Callable[..., Path], inputs: Path) -> None:
    result = run("diff", folder("old"), folder("new", "logger:b -> failed"), inputs, "--project", 1, "--now", "2023-11-15")

    assert result.exit_code == 0, result.output
    assert "2 groups become one: 2 events of project 1" in result.stdout
    assert "alpha failed" in result.stdout
    assert "2 of 8 events change group" in result.stdout


def test_diff_of_the_same_rules_says_so(folder: Callable[..., Path], inputs: Path) -> None:
    old = folder("old")

    assert "No group changes" in run("diff", old, old, inputs, "--project", 1).stdout


def test_diff_shows_what_filters_drop_and_what_scrubbing_takes(folder: Callable[..., Path], tmp_path: Path) -> None:
    old, new = folder("old"), folder("new")
    (old / "default" / "filters.toml").write_text('[error_messages]\npatterns = ["*beta*"]\n')
    (new / "default" / "filters.toml").write_text(
        '[error_messages]\npatterns = ["*alpha*", "*beta*"]\n[releases]\npatterns = ["1.*"]\n'
    )
    (new / "default" / "scrubbing.toml").write_text(
        "[rules.ticket]\ntype = 'pattern'\npattern = 'ticket-[0-9]+'\nredaction = { method = 'mask' }\n"
        "[applications]\n'$string' = ['ticket']\n"
    )
    events = [
        event(1, message="alpha failed"),
        event(2, message="beta failed"),
        event(3, message="steady", release="1.2", extra={"password": "secret", "note": "see ticket-17"}),
    ]
    inputs = tmp_path / "in.jsonl"
    inputs.write_text("".join(json.dumps(one) + "\n" for one in events))
    arguments = ("diff", old, new, inputs, "--project", 1, "--now", "2023-11-15")

    result = run(*arguments, "--json")

    assert result.exit_code == 0, result.output
    body = json.loads(result.stdout)
    assert (body["events"], body["changes"]) == (3, [])
    counts = {
        effect["rule"]: (effect["before"], effect["after"], effect["added"], effect["gone"])
        for effect in (*body["filters"], *body["scrubbing"])
    }
    assert counts == {
        "error-message": (1, 2, 1, 0),
        "release-version": (0, 1, 1, 0),
        "ticket": (0, 1, 1, 0),
        "@password:filter": (1, 1, 0, 0),
    }
    (error_message,) = (effect for effect in body["filters"] if effect["rule"] == "error-message")
    assert error_message["examples"] == [{"event_id": f"{1:032x}", "origin": f"{inputs}:1", "title": "alpha failed"}]
    (ticket,) = (effect for effect in body["scrubbing"] if effect["rule"] == "ticket")
    assert [(example["field"], example["becomes"]) for example in ticket["examples"]] == [("extra.note", "see *********")]

    shown = run(*arguments).stdout
    assert "No group changes" in shown
    assert "filter error-message: 2 events, 1 before (1 added)" in shown
    assert "scrubbing rule ticket: 1 values, 0 before (1 added)" in shown
    assert "extra.note → see *********" in shown
    assert "scrubbing rule @password:filter: 1 values, the same as before" in shown
    assert "secret" not in shown
    assert "ticket-17" not in shown

    back = run("diff", new, old, inputs, "--project", 1, "--now", "2023-11-15").stdout
    assert "filter release-version: 0 events, 1 before (1 gone)" in back


def test_diff_ends_with_1_where_something_changes_if_asked_to(folder: Callable[..., Path], inputs: Path) -> None:
    old, merged, filtered = folder("old"), folder("merged", "logger:b -> failed"), folder("filtered")
    (filtered / "default" / "filters.toml").write_text('[error_messages]\npatterns = ["*alpha*"]\n')

    def code(new: Path, *options: str) -> int:
        return run("diff", old, new, inputs, "--project", 1, "--now", "2023-11-15", *options).exit_code

    assert (code(old, "--exit-code"), code(merged, "--exit-code"), code(filtered, "--exit-code")) == (0, 1, 1)
    assert code(merged) == 0


@pytest.mark.parametrize("content", ["", "nonsense", '{"type": "session"}', '{"message": "of no project"}'])
def test_diff_of_an_input_without_events_ends_with_1(folder: Callable[..., Path], tmp_path: Path, content: str) -> None:
    old = folder("old")
    (tmp_path / "in.jsonl").write_text(content)

    result = run("diff", old, old, tmp_path / "in.jsonl")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == "no event to compare"
    assert ("--project ID" in result.stderr) == content.startswith("{"), "what is JSON lacks a project alone"


def test_groups_keep_their_ids_during_a_change_and_move_after_it(folder: Callable[..., Path], inputs: Path) -> None:
    old, new = folder("old"), folder("new")
    (new / "default" / "grouping.toml").write_text('hash = "md5"\nprevious_hash = "xxh3_128"\nprevious_until = 2023-12-01\n')

    def diff(day: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("diff", old, new, inputs, "--project", 1, "--now", day, "--json").stdout)
        return found

    during, after = diff("2023-12-01"), diff("2023-12-02")

    assert during["changed_events"] == 0
    assert {change["kind"] for change in after["changes"]} == {"move"}
    assert after["changed_events"] == len(EVENTS)


def test_check_lists_every_mistake_of_every_file(folder: Callable[..., Path]) -> None:
    path = folder("broken", "type", "type:x -> ok", "level ->")
    (path / "default" / "enhancements.rules").write_text("function:x -> group\n")
    (path / "projects" / "5").mkdir(parents=True)
    (path / "projects" / "5" / "groups.toml").write_text("[[group]]\nid = 'x'\n")
    (path / "projects" / "5" / "a.cases.yaml").write_text("- name: x\n")

    result = run("check", path)

    assert result.exit_code == 1
    for place in (
        "broken/default/fingerprints.rules:1:",
        "broken/default/fingerprints.rules:3:",
        "broken/default/enhancements.rules:1:",
        "broken/projects/5/groups.toml:",
        "broken/projects/5/a.cases.yaml:1:",
    ):
        assert place in result.stderr, result.stderr
    errors = json.loads(run("check", path, "--json").stdout)["errors"]
    assert {"file", "line", "column", "message", "text"} == set(errors[0])


def test_check_warns_of_matchers_that_cannot_hold(folder: Callable[..., Path]) -> None:
    path = folder("rules", "message:{[*?]} -> brackets", "app:maybe -> x", "!family:ruby -> y", "app:On sdk:any -> z")
    (path / "default" / "enhancements.rules").write_text("function:f | [ function:-[NSObject* ] -app\n\n\napp:YES -group\n")

    result = run("check", path)

    assert result.exit_code == 0
    for warning in (
        'default/fingerprints.rules:2: app:"maybe" never holds: expected yes or no',
        'default/fingerprints.rules:3: !family:"ruby" holds always: no such family as ruby',
        "default/enhancements.rules:1: function:-[NSObject* never holds: `[` begins a set",
        "default/enhancements.rules:4: app:YES never holds: expected yes or no",
    ):
        assert f"warning: {path}/{warning}" in result.stderr
    assert [warning["line"] for warning in json.loads(run("check", path, "--json").stdout)["warnings"]] == [1, 4, 2, 3]


def test_check_warns_of_text_in_brackets_and_of_variables_that_are_not_there(folder: Callable[..., Path]) -> None:
    path = folder(
        "rules",
        'message:"*[Errno 111]*" -> refused',
        'message:"projects/{org slug}/*" -> db',
        'type:x -> {{ default }}, {{ mesage }} title="{{ titel }}: {{ message }}"',
        'type:y -> "at {{ transaction }}", {{ tags.anything }}',
        'message:"*\\[Errno 111\\]*" -> {{ default }}, {{ message }} title="{{ tags.x }}"',
    )
    (path / "default" / "enhancements.rules").write_text('error.value:"*[Errno 111]*" -group\n')

    result = run("check", path)

    assert result.exit_code == 0
    said = [line.removeprefix(f"warning: {path}/default/") for line in result.stderr.splitlines() if "warning" in line]
    assert [line.partition(" ")[0] for line in said] == [
        "enhancements.rules:1:",
        *(f"fingerprints.rules:{number}:" for number in (1, 2, 3, 3, 4)),
    ]
    for words in (
        "`[Errno 111]` is a set that matches one of its characters; for the text write `\\[Errno 111\\]`, in quotes",
        "braces hold alternatives, and these hold one",
        "{{ mesage }}: there is no such variable; did you mean {{ message }}?",
        "{{ titel }}: there is no such variable",
        '"at {{ transaction }}": variables inside of a text in quotes are not replaced',
    ):
        assert words in result.stderr


def test_check_warns_of_retentions_that_snuba_does_not_keep(folder: Callable[..., Path]) -> None:
    path = folder("rules", "message:x -> x")
    for project_id, days in ((1, 7), (2, 30), (3, 365)):
        (path / "projects" / str(project_id)).mkdir(parents=True)
        (path / "projects" / str(project_id) / "project.toml").write_text(f'slug = "p{project_id}"\nretention_days = {days}\n')

    result = run("check", path)

    assert result.exit_code == 0
    assert f"warning: {path}/projects/1/project.toml:2: retention_days = 7: Snuba keeps these events for 30 days" in result.stderr
    assert (
        f"warning: {path}/projects/3/project.toml:2: retention_days = 365: Snuba keeps these events for 90 days" in result.stderr
    )
    assert "projects/2" not in result.stderr


def test_check_runs_the_cases_beside_the_rules(folder: Callable[..., Path]) -> None:
    path = folder("rules", 'logger:a -> {{ default }}, {{ tags.region }} title="Cart"', "logger:b -> failed")
    cases = path / "default" / "carts.cases.yaml"
    case = """
- name: carts split by region
  events:
    - {message: gone, logger: a, tags: {region: eu}}
    - {message: gone, logger: a, tags: {region: us}}
  expect: {together: false, title: Cart, fingerprint: ["{{ default }}", "{{ tags.region }}"], rule: "fingerprints.rules:1"}
- name: the stack says who it is
  event:
    stacktrace: {frames: [{abs_path: /x/site-packages/y.py, in_app: true}, {function: f, in_app: true}]}
  expect: {in_app: [false, true], rule: none}
"""
    cases.write_text(case)
    assert run("check", path).exit_code == 0

    cases.write_text(
        case.replace("together: false, title: Cart", "together: true, title: Kart")
        .replace("rules:1", "rules:2")
        .replace("[false, true]", "[true]")
        .replace('"{{ tags.region }}"', "eu")
    )
    result = run("check", path)

    assert result.exit_code == 1
    for message in (
        "carts.cases.yaml:2: carts split by region: expected one group, the 2 events are in 2",
        "event 1: expected title 'Kart', got 'Cart'",
        "event 2: expected rule fingerprints.rules:2, got fingerprints.rules:1",
        "event 1: expected fingerprint ['{{ default }}', 'eu']",
        "carts.cases.yaml:7: the stack says who it is: expected in_app [True], got [False, True]",
    ):
        assert message in result.stderr


def test_cases_name_and_group_events_as_the_stage_of_grouping_does(folder: Callable[..., Path]) -> None:
    path = folder("rules")
    one, other = "a" * 32, "b" * 32
    (path / "default" / "groups.toml").write_text(f'[[group]]\nid = 7\nhashes = ["{one}", "{other}"]\n')
    cases = path / "default" / "names.cases.yaml"
    case = f"""
- name: an exception names its event
  event: {{exception: {{values: [{{type: ValueError, value: boom}}]}}}}
  expect: {{title: "ValueError: boom"}}
- name: a message names its event
  event: {{message: gone}}
  expect: {{title: gone}}
- name: a person merged these
  events: [{{checksum: {one}}}, {{checksum: {other}}}]
  expect: {{together: true}}
"""
    cases.write_text(case)
    result = run("check", path)
    assert result.exit_code == 0, result.stderr

    cases.write_text(case.replace("together: true", "together: false"))
    assert "a person merged these: expected a group for each, the 2 events are in 1" in run("check", path).stderr


def test_check_lists_rules_that_no_event_touches(folder: Callable[..., Path], inputs: Path) -> None:
    path = folder("rules", "logger:a -> a", "logger:nobody -> never")
    (path / "default" / "enhancements.rules").write_text("function:nowhere -app\n")

    result = run("check", path, inputs, "--project", 1, "--json")

    assert result.exit_code == 0, result.output
    own = [rule for rule in json.loads(result.stdout)["untouched"] if not rule["is_base"]]
    assert [(rule["file"].rpartition("/")[2], rule["line"]) for rule in own] == [
        ("enhancements.rules", 1),
        ("fingerprints.rules", 2),
    ]
    assert "logger:" in run("check", path, inputs, "--project", 1).stdout


@pytest.mark.parametrize("arguments", [("check", "/nowhere"), ("diff", "/nowhere", "/nowhere", "x"), ("check",)])
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_input_that_is_not_there_exits_with_2(folder: Callable[..., Path]) -> None:
    path = folder("rules")
    result = run("diff", path, path, "/nowhere.jsonl")
    assert result.exit_code == 2
    assert "/nowhere.jsonl" in result.stderr


def test_the_shipped_rules_are_fine() -> None:
    result = run("check", SHIPPED)
    assert result.exit_code == 0, result.stderr


def test_groups_are_merged_listed_and_split(folder: Callable[..., Path]) -> None:
    path = folder("rules")
    a, b = "a" * 32, "b" * 32

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(groups, [*arguments, "--project", "3", "--rules", str(path)], catch_exceptions=False)

    assert command("merge", a, b, "--note", "same cause").exit_code == 0
    (group,) = (json.loads(line) for line in command("list", "--json").stdout.splitlines())
    assert group["hashes"] == [a, b]
    assert group["note"] == "same cause"
    assert run("check", path).exit_code == 0

    assert command("split", b).exit_code == 0
    assert len(command("list", "--json").stdout.splitlines()) == 2
    assert [file.name for file in (path / "projects" / "3").iterdir()] == ["groups.toml"]


def test_a_hash_that_is_none_is_wrong_usage(folder: Callable[..., Path]) -> None:
    path = folder("rules")
    result = CliRunner().invoke(groups, ["merge", "abc", "d" * 32, "--project", "3", "--rules", str(path)])
    assert result.exit_code == 2
    assert "is not a grouping hash" in result.stderr
    assert not (path / "projects" / "3").exists()
