"""`pipeline groups`: merge and split groups by hand. It writes `groups.toml` of a project; workers follow within 2 s."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import orjson
from rich.markup import escape

from pipeline.cli.options import WholeNumber, fail, settings_file_option, stdout
from pipeline.grouping.group_overrides import FILE, GroupOverrides
from pipeline.model.rule_file import RuleFile
from pipeline.rules.shipped import SHIPPED_RULES, USUAL_FOLDER, rules_path
from pipeline.settings.loading import load_settings

_HASH = re.compile(r"[0-9a-f]{32}")


class _GroupingHash(click.ParamType):
    """A grouping hash, as `pipeline explain` shows it."""

    name = "HASH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Parse the text of an argument. Anything but 32 hexadecimal digits is wrong usage."""
        text = str(value).lower()
        if not _HASH.fullmatch(text):
            self.fail(f"{value!r} is not a grouping hash: 32 hexadecimal digits, as `pipeline explain` shows them", param, ctx)
        return text


@click.group()
def groups() -> None:
    """Merge or split groups by hand. This applies to events that arrive later.

    A group is named by its primary hash, which `pipeline explain` shows. The decisions are written to
    projects/ID/groups.toml in the rules folder. Running workers follow them within two seconds.

    While a project changes its grouping strategy, name groups by the hashes of the old strategy; `pipeline explain` shows
    them as secondary hashes.
    """


_project = click.option("--project", type=WholeNumber(), metavar="ID", required=True, help="The project of the groups.")
_rules = click.option("--rules", metavar="DIR", help="The rules folder.  [default: ./rules]")
_note = click.option("--note", default="", metavar="TEXT", help="Why. It is kept in the file for the next person.")


@groups.command(short_help="Merge groups into one.")
@click.argument("target", type=_GroupingHash())
@click.argument("others", type=_GroupingHash(), nargs=-1, required=True, metavar="HASH...")
@_project
@_rules
@_note
@settings_file_option
def merge(target: str, others: tuple[str, ...], project: int, rules: str | None, note: str, settings_file: Path | None) -> None:
    """Merge the group of each HASH into the group of TARGET. Groups that were merged into those before are moved too.

    \b
    Example:
      pipeline groups merge --project 1 5d731dcf8ecc4f042eeacf528d8d8da9 f183c929366335160ab2946f4b529411
    """
    path = _path(rules, settings_file, project)
    overrides = _read(path).merged(project, target, others, note)
    _write(path, overrides)
    stdout.print(f"{len(set(others) - {target})} joined group [bold]{overrides.groups[target]}[/] ({escape(str(path))})")


@groups.command(short_help="Split hashes from their merged group.")
@click.argument("hashes", type=_GroupingHash(), nargs=-1, required=True, metavar="HASH...")
@_project
@_rules
@_note
@settings_file_option
def split(hashes: tuple[str, ...], project: int, rules: str | None, note: str, settings_file: Path | None) -> None:
    """Split each HASH from the group that it was merged into, so that it has a group of its own.

    \b
    Example:
      pipeline groups split --project 1 f183c929366335160ab2946f4b529411 --note "another cause"
    """
    path = _path(rules, settings_file, project)
    overrides = _read(path).split(project, hashes, note)
    _write(path, overrides)
    for hash_ in hashes:
        stdout.print(f"{hash_} is group [bold]{overrides.groups[hash_]}[/] ({escape(str(path))})")


@groups.command("list")
@_project
@_rules
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each group.")
@settings_file_option
def list_(project: int, rules: str | None, settings_file: Path | None, *, as_json: bool) -> None:
    """Show the groups of a project that were merged or split by hand."""
    overrides = _read(_path(rules, settings_file, project))
    for id_ in sorted(set(overrides.groups.values())):
        hashes = sorted(hash_ for hash_, group in overrides.groups.items() if group == id_)
        note = overrides.notes.get(id_, "")
        if as_json:
            print(orjson.dumps({"id": id_, "note": note, "hashes": hashes}).decode())
        else:
            stdout.print(f"[bold]{id_}[/]  {escape(note)}")
            for hash_ in hashes:
                stdout.print(f"  {hash_}")


def _path(rules: str | None, settings_file: Path | None, project: int) -> Path:
    settings = load_settings(settings_file, {("rules",): rules})
    folder = rules_path(settings.rules)
    if folder == SHIPPED_RULES or not folder.is_dir():
        fail(f"no rules folder {settings.rules or USUAL_FOLDER} to keep the decisions in; --rules names it")
    return folder / "projects" / str(project) / FILE


def _read(path: Path) -> GroupOverrides:
    if not path.exists():
        return GroupOverrides()
    return GroupOverrides.load([{FILE: RuleFile(str(path), path.read_text(encoding="utf-8-sig"))}])


def _write(path: Path, overrides: GroupOverrides) -> None:
    """Replace the file in one step, so that a worker that reloads reads the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(overrides.to_toml())
    draft.replace(path)
