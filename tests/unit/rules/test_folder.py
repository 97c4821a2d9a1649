from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from pipeline.model.errors import InvalidRulesError
from pipeline.rules.folder import RulesFolder, load_rules

SHIPPED = Path(__file__).parents[3] / "rules"

QUOTA = '[[quota]]\nid = "{id}"\nscope = "project"\ncategories = ["error"]\nlimit = {limit}\nwindow_s = 60\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "rules"
    for name in ("bases", "default"):
        shutil.copytree(SHIPPED / name, path / name)
    return path


def write(folder: Path, name: str, text: str, *, at_ns: int | None = None) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if at_ns is not None:
        os.utime(path, ns=(at_ns, at_ns))


def limits(rules: RulesFolder, project_id: int) -> list[int | None]:
    return [quota.limit for quota in rules.current.project(project_id).quotas]


def test_the_shipped_rules_are_good() -> None:
    rules = load_rules(SHIPPED)
    assert rules.default.project.organization == 1
    assert rules.default.project.retention_days == 90


def test_a_project_extends_the_default_and_others_take_it_whole(folder: Path) -> None:
    write(folder, "default/quotas.toml", QUOTA.format(id="a", limit=5))
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="b", limit=1))
    write(folder, "projects/7/project.toml", "organization = 3")
    rules = RulesFolder(folder)
    assert limits(rules, 7) == [5, 1]
    assert limits(rules, 8) == [5]
    assert rules.current.project(7).project.organization == 3
    assert rules.current.knows(7)
    assert not rules.current.knows(8)


def test_a_part_that_a_project_says_nothing_about_is_shared(folder: Path) -> None:
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="b", limit=1))
    rules = load_rules(folder)
    assert rules.project(7).grouper is rules.default.grouper


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("default/quotas.toml", "[[quota]]\nid = 1\n", "default/quotas.toml:2"),
        ("projects/7/filters.toml", "[releases\n", "projects/7/filters.toml:1"),
        ("projects/7/enhancements.rules", "# fine\nfunction:x sideways\n", "projects/7/enhancements.rules:2"),
        ("projects/7/filter.toml", "", "projects/7/filter.toml"),
        ("projects/shop/project.toml", "", "projects/shop"),
    ],
)
def test_a_mistake_is_refused_and_named(folder: Path, name: str, text: str, where: str) -> None:
    write(folder, name, text)
    with pytest.raises(InvalidRulesError) as raised:
        load_rules(folder)
    assert str(raised.value).startswith(f"{folder}/{where}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("default/enhancements.rules", "function:x +app\n"),
        ("default/fingerprints.rules", "type:x -> x\n"),
        ("default/grouping.toml", 'hash = "md5"\n'),
    ],
)
def test_the_mark_that_editors_put_before_a_text_is_no_part_of_it(folder: Path, name: str, text: str) -> None:
    write(folder, name, text)
    plain = load_rules(folder).version
    write(folder, name, "\ufeff" + text)
    assert load_rules(folder).version == plain


def test_all_mistakes_are_named_at_once(folder: Path) -> None:
    write(folder, "default/quotas.toml", "x = 1")
    write(folder, "projects/7/scrubbing.toml", "y = 1")
    write(folder, "projects/8/project.toml", "z = 1")
    with pytest.raises(InvalidRulesError) as raised:
        load_rules(folder)
    assert {error.file for error in raised.value.errors} == {
        str(folder / name) for name in ("default/quotas.toml", "projects/7/scrubbing.toml", "projects/8/project.toml")
    }


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRulesError, match="nowhere"):
        load_rules(tmp_path / "nowhere")


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidRulesError, match=r"default: not a rules folder"):
        load_rules(folder / "default")


def test_text_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "default" / "enhancements.rules").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidRulesError, match=r"default/enhancements\.rules"):
        load_rules(folder)


def test_an_edit_comes_into_force_and_leaves_the_others_as_they_were(folder: Path) -> None:
    for project in (7, 8):
        write(folder, f"projects/{project}/quotas.toml", QUOTA.format(id="a", limit=1))
    rules = RulesFolder(folder)
    before = rules.current
    assert not rules.poll()
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="a", limit=22))
    assert rules.poll()
    assert limits(rules, 7) == [22]
    assert rules.current.project(8) is before.project(8)
    assert rules.current.version != before.version
    assert before.project(7).quotas[0].limit == 1


def test_whatever_an_edit_makes_of_the_rules_the_last_good_ones_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = RulesFolder(folder)
    before = rules.current
    monkeypatch.setattr(rules, "_load", lambda: 1 / 0)
    write(folder, "default/enhancements.rules", "function:x -app\n")
    assert not rules.poll()
    assert rules.current is before
    assert rules.refused is not None
    assert rules.refused.startswith("ZeroDivisionError")


def test_an_edit_of_the_default_reaches_every_project(folder: Path) -> None:
    write(folder, "projects/7/project.toml", "organization = 3")
    rules = RulesFolder(folder)
    write(folder, "default/quotas.toml", QUOTA.format(id="a", limit=5))
    assert rules.poll()
    assert limits(rules, 7) == [5]


def test_projects_come_and_go(folder: Path) -> None:
    rules = RulesFolder(folder)
    write(folder, "projects/7/project.toml", "organization = 3")
    assert rules.poll()
    assert rules.current.knows(7)
    shutil.rmtree(folder / "projects" / "7")
    assert rules.poll()
    assert not rules.current.knows(7)


def test_a_broken_edit_is_refused_and_the_last_good_rules_stay(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="a", limit=1))
    rules = RulesFolder(folder)
    good = rules.current
    write(folder, "projects/7/quotas.toml", "[[quota]\n")
    assert not rules.poll()
    assert rules.current is good
    assert rules.refused is not None
    assert "projects/7/quotas.toml:1" in rules.refused
    assert "refused" in caplog.text
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="a", limit=3))
    assert rules.poll()
    assert limits(rules, 7) == [3]
    assert getattr(rules, "refused", "") is None


def test_a_folder_that_was_away_for_a_moment_is_in_force_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = RulesFolder(folder)
    folder.rename(folder.with_name("moved"))
    for _ in range(3):
        assert not rules.poll()
    assert rules.refused is not None
    assert caplog.text.count("refused") == 1
    folder.with_name("moved").rename(folder)
    assert not rules.poll(), "the same rules"
    assert getattr(rules, "refused", "") is None


def test_an_edit_that_could_not_be_read_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rules = RulesFolder(folder)
    write(folder, "projects/7/quotas.toml", QUOTA.format(id="a", limit=3))

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", fail)
        for _ in range(3):
            assert not rules.poll()
    assert rules.refused is not None
    assert "Input/output error" in rules.refused
    assert caplog.text.count("refused") == 1
    assert rules.poll(), "without another edit"
    assert limits(rules, 7) == [3]
    assert getattr(rules, "refused", "") is None


def test_the_whole_folder_vanishing_is_survived(folder: Path) -> None:
    rules = RulesFolder(folder)
    shutil.rmtree(folder)
    assert not rules.poll()
    assert rules.refused is not None


def test_a_file_touched_without_a_change_is_no_new_version(folder: Path) -> None:
    write(folder, "projects/7/project.toml", "organization = 3", at_ns=1)
    rules = RulesFolder(folder)
    write(folder, "projects/7/project.toml", "organization = 3", at_ns=2)
    assert not rules.poll()
    assert rules.refused is None


@pytest.mark.parametrize("kind", ["a link to nothing", "a link to itself", "a folder", "a pipe"])
def test_what_has_a_rule_files_name_and_is_none_is_refused_rather_than_taken_for_absent(folder: Path, kind: str) -> None:
    path = folder / "default" / "filters.toml"
    path.unlink(missing_ok=True)
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "a link to itself" else "nowhere")
    with pytest.raises(InvalidRulesError, match=r"default/filters\.toml: expected a file"):
        load_rules(folder)


def test_links_to_files_are_followed_and_an_editors_lock_is_passed_over(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("enabled = 3")
    (folder / "default" / ".#quotas.toml").symlink_to("ada@host.1234")
    load_rules(folder)
    path = folder / "default" / "scrubbing.toml"
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    with pytest.raises(InvalidRulesError, match=r"default/scrubbing\.toml:1"):
        load_rules(folder)


@pytest.mark.parametrize("name", ["0", "07", "-1", "\u0661", "9" * 20])
def test_a_projects_folder_is_named_by_its_number(folder: Path, name: str) -> None:
    (folder / "projects" / name).mkdir(parents=True)
    with pytest.raises(InvalidRulesError, match="named by its number"):
        load_rules(folder)
