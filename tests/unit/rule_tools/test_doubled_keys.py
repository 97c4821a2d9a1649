from __future__ import annotations

from pathlib import Path

from pipeline.rule_tools.suspicious_rules import doubled_keys
from pipeline.rules.folder import load_rules


def project(folder: Path, number: int, organization: int, key: int) -> None:
    file = folder / "projects" / str(number) / "project.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'organization = {organization}\n[[keys]]\nid = {key}\npublic_key = "{number:032x}"\n')


def test_a_key_of_two_projects_of_one_organization_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "grouping.toml").write_text('enhancement_base = "none"\nbuiltin_fingerprints = false\n')
    for number, organization, key in ((1, 1, 5), (2, 1, 6), (3, 1, 5), (4, 2, 5)):
        project(tmp_path, number, organization, key)
    [warning] = doubled_keys(load_rules(tmp_path), tmp_path)
    assert (warning.file, warning.line) == (str(tmp_path / "projects" / "3" / "project.toml"), 3)
    assert "key 5 is also a key of project 1" in warning.message
