from __future__ import annotations

import pytest

from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.rules.project import Project, ProjectKey, load_project


def load(text: str) -> Project:
    return load_project([{"project.toml": RuleFile("rules/projects/1/project.toml", text)}])


def test_no_file_gives_organization_1_and_90_days() -> None:
    project = load_project([])
    assert (project.organization, project.retention_days, project.keys) == (1, 90, ())


def test_a_key_is_known_by_its_number() -> None:
    project = load('organization = 5\nretention_days = 30\n[[keys]]\nid = 11\npublic_key = "abc"\n')
    assert project.keys == (ProjectKey(11, "abc"),)
    assert (project.key_id("abc"), project.key_id("other")) == (11, None)


@pytest.mark.parametrize(
    "text",
    [
        "organization = 0",
        "organization = -1",
        "organization = 9223372036854775808",
        "retention_days = 0",
        "retention_days = 65536",
        '[[keys]]\nid = -1\npublic_key = "abc"',
    ],
)
def test_numbers_that_no_column_holds_are_refused(text: str) -> None:
    with pytest.raises(InvalidRulesError) as refused:
        load(text)
    assert refused.value.errors[0].line is not None


@pytest.mark.parametrize(
    ("second", "line"),
    [('id = 11\npublic_key = "def"', 5), ('id = 12\npublic_key = "abc"', 6)],
)
def test_two_keys_of_one_number_or_one_public_key_are_a_mistake(second: str, line: int) -> None:
    with pytest.raises(InvalidRulesError) as refused:
        load(f'[[keys]]\nid = 11\npublic_key = "abc"\n[[keys]]\n{second}\n')
    [error] = refused.value.errors
    assert (error.file, error.line) == ("rules/projects/1/project.toml", line)
