"""Case files (`*.cases.yaml`): events beside the rules, and what the rules must make of them.

`pipeline rules check` runs them. A file holds a list:

    - name: a refused connection is one group per server
      event: {exception: {values: [{type: ConnectionRefusedError}]}, tags: {server_name: db-1}}
      expect:
        fingerprint: [connection-refused, "{{ tags.server_name }}"]
    - name: the port does not matter
      events: [{message: refused by port 1}, {message: refused by port 2}]
      expect: {together: true}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import RuleFile

SUFFIX = ".cases.yaml"


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is expected of every event of a case. A field that is left out is not checked."""

    fingerprint: tuple[str, ...] | None = None
    """The values as the rule writes them, with variables not filled in."""
    title: str | None = None
    in_app: tuple[bool, ...] | None = None
    """A value for each frame of the last exception, or of the event's own stack trace; the oldest frame first."""
    rule: str | None = None
    """The fingerprint rule that matches: `fingerprints.rules:12`, or the file name alone, or `none` if no rule may match."""
    together: bool | None = None
    """True: all events of the case are in one group. False: each is in a group of its own."""


class RuleCase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case. Its events are written as an SDK sends them."""

    name: str
    expect: Expectation
    event: dict[str, Any] | None = None
    events: tuple[dict[str, Any], ...] = ()

    @property
    def all_events(self) -> tuple[dict[str, Any], ...]:
        """The events, whether they were written as `event` or as `events`."""
        return (self.event, *self.events) if self.event is not None else self.events


class LocatedCase(msgspec.Struct, frozen=True):
    """A case with its file and the line on which it begins, counted from 1."""

    case: RuleCase
    file: str
    line: int


Subject = int | Literal["default", "bases"]
"""The rules that cases are about: a project's (its number), the default's, or the bases alone."""


def case_files(folder: Path) -> Iterator[tuple[Subject, RuleFile]]:
    """Yield the case files of a rules folder. The subject follows from the folder that a file is in."""
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        inner = path.relative_to(folder).parts
        subject: Subject = "bases" if inner[0] == "bases" else "default"
        if len(inner) > 2 and inner[0] == "projects" and inner[1].isdecimal():
            subject = int(inner[1])
        yield subject, RuleFile(str(path.relative_to(folder.parent)), path.read_text(errors="replace"))


def parse_cases(file: RuleFile) -> list[LocatedCase]:
    """Parse one file. Raises InvalidRulesError with the line of each entry that is not a valid case."""
    try:
        tree = yaml.compose(file.text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(file.text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, None)
        message = getattr(error, "problem", None) or str(error)
        raise InvalidRulesError([RuleError(file.path, line, column, message)]) from None
    if data is None:
        return []
    if not isinstance(data, list) or not isinstance(tree, yaml.SequenceNode):
        raise InvalidRulesError([RuleError(file.path, 1, 1, "expected a list of cases, each with name, event and expect")])
    cases: list[LocatedCase] = []
    errors: list[RuleError] = []
    for node, value in zip(tree.value, data, strict=True):
        line = node.start_mark.line + 1
        try:
            case = msgspec.convert(value, RuleCase)
        except msgspec.ValidationError as error:
            errors.append(RuleError(file.path, line, node.start_mark.column + 1, str(error)))
            continue
        if not case.all_events:
            errors.append(RuleError(file.path, line, node.start_mark.column + 1, "expected an event, or events"))
        elif case.expect == Expectation():
            errors.append(RuleError(file.path, line, node.start_mark.column + 1, "expects nothing"))
        else:
            cases.append(LocatedCase(case, file.path, line))
    if errors:
        raise InvalidRulesError(errors)
    return cases
