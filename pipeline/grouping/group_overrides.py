"""Group overrides: merges and splits of groups by hand.

They are kept in `groups.toml` beside the rules, and apply to later events. A merge puts several hashes into one group. A split
puts a hash into a group of its own again. The file lists the hashes of each such group. It holds the result, not the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Self

import msgspec

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.grouping import derive_group_id
from pipeline.model.rule_file import Layer, RuleFile, convert, parse_toml

FILE = "groups.toml"

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
GroupId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class OverriddenGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[group]]`: its id on the storage topic, the hashes that belong to it, and a note for the next reader of the file."""

    id: GroupId
    hashes: tuple[Hash, ...]
    note: str = ""


class GroupsToml(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `groups.toml`."""

    group: tuple[OverriddenGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupOverrides:
    """The group id of each overridden hash, and the note of each group that has one."""

    groups: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls, layers: Sequence[Layer]) -> Self:
        """Read `groups.toml` of each layer. Raises InvalidRulesError, also if a hash belongs to two groups."""
        groups: dict[str, int] = {}
        notes: dict[int, str] = {}
        errors: list[RuleError] = []
        for layer in layers:
            file = layer.get(FILE)
            if file is None:
                continue
            try:
                decided = convert(parse_toml(file), file, GroupsToml)
            except InvalidRulesError as error:
                errors += error.errors
                continue
            own: dict[str, int] = {}
            for group in decided.group:
                if group.note:
                    notes[group.id] = group.note
                for hash_ in group.hashes:
                    if own.setdefault(hash_, group.id) != group.id:
                        errors.append(_given_twice(file, hash_))
            groups |= own
        if errors:
            raise InvalidRulesError(errors)
        return cls(groups, notes)

    def group_of(self, hashes: Iterable[str]) -> int | None:
        """Return the group of the first overridden hash of an event, or None if none is overridden."""
        if not self.groups:
            return None
        return next((self.groups[hash_] for hash_ in hashes if hash_ in self.groups), None)

    def merged(self, project_id: int, target: str, others: Sequence[str], note: str = "") -> GroupOverrides:
        """Return the overrides after `others`, and all hashes merged into them, joined the group of `target`.

        Repeating it changes nothing.
        """
        kept = self.groups.get(target, derive_group_id(project_id, target))
        given_up = {self.groups[hash_] for hash_ in others if hash_ in self.groups}
        groups = {hash_: kept if group in given_up else group for hash_, group in self.groups.items()}
        groups |= dict.fromkeys((target, *others), kept)
        return GroupOverrides(groups, _notes_in_use(groups, {**self.notes, kept: note} if note else self.notes))

    def split(self, project_id: int, hashes: Sequence[str], note: str = "") -> GroupOverrides:
        """Return the overrides after each hash left its group for one of its own.

        If others were merged into the group that a hash has by itself, it gets a new one. Repeating it changes nothing.
        """
        groups = dict(self.groups)
        notes = dict(self.notes)
        for hash_ in hashes:
            others = {group for other, group in groups.items() if other != hash_}
            if hash_ in groups and groups[hash_] not in others:
                continue
            groups[hash_] = own = _free_id(project_id, hash_, others)
            if note:
                notes[own] = note
        return GroupOverrides(groups, _notes_in_use(groups, notes))

    def to_toml(self) -> str:
        """Return the text of the file. Equal overrides have the same text."""
        lines = [
            "# What was decided by hand about this project's groups; `pipeline groups merge | split` writes it.",
            "# An event whose hash is listed belongs to that group.",
        ]
        for id_ in sorted(set(self.groups.values())):
            lines += ["", "[[group]]", f"id = {id_}"]
            if id_ in self.notes:
                lines.append(f"note = {_quoted(self.notes[id_])}")
            lines.append("hashes = [")
            lines += [f'    "{hash_}",' for hash_ in sorted(hash_ for hash_, group in self.groups.items() if group == id_)]
            lines.append("]")
        return "\n".join(lines) + "\n"


def _free_id(project_id: int, hash_: str, taken: set[int]) -> int:
    """Return the group id that the hash has by itself, or one derived from it if other hashes have that one."""
    own = derive_group_id(project_id, hash_)
    count = 0
    while own in taken:
        count += 1
        own = derive_group_id(project_id, f"{hash_}:split:{count}")
    return own


def _notes_in_use(groups: Mapping[str, int], notes: Mapping[int, str]) -> dict[int, str]:
    return {id_: note for id_, note in notes.items() if id_ in groups.values()}


def _given_twice(file: RuleFile, hash_: str) -> RuleError:
    lines = file.text.splitlines()
    line = max(number for number, text in enumerate(lines, 1) if hash_ in text)
    return RuleError(file.path, line, None, f"{hash_} already belongs to another group", lines[line - 1])


def _quoted(text: str) -> str:
    """Return a TOML basic string. JSON's escapes are valid in TOML, except that TOML also wants DEL escaped."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
