"""Reads and checks the rules folder, and watches it for edits. An edit with a mistake never replaces rules that work.

bases/                   base rules that are shipped with a release
default/                 the rules that every project starts from
projects/<project_id>/   files of the same names, which extend or override the default
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from pipeline.filters.filters import Filters
from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.grouper import Grouper
from pipeline.model.errors import InvalidRulesError, RuleError, describe_failure
from pipeline.model.rule_file import Layer, RuleFile
from pipeline.quotas.quota_file import load_quotas
from pipeline.rules.project import load_project
from pipeline.rules.snapshot import ProjectRules, Rules
from pipeline.scrubbing.scrubber import Scrubber

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and modification time in ns of each rule file of one folder."""

BASES, DEFAULT, PROJECTS = "bases", "default", "projects"
_PROJECT_ID = re.compile("[1-9][0-9]{0,18}")
"""Without leading zeros, because `7` and `07` would be two folders for one project."""
_SUFFIXES = (".toml", ".rules")
_NO_FILE = -1
"""Stands for the size of a folder (or other non-file) with the name of a rule file, so that it differs from an absent file."""


class _Part(NamedTuple):
    """One part of a project's rules: the files that it is read from, and the function that reads them."""

    files: frozenset[str]
    load: Callable[[list[Layer], Layer, GroupingCaches], Any]


_PARTS = (
    _Part(frozenset({"project.toml"}), lambda layers, *_: load_project(layers)),
    _Part(frozenset({"filters.toml"}), lambda layers, *_: Filters.load(layers)),
    _Part(frozenset({"quotas.toml"}), lambda layers, *_: load_quotas(layers)),
    _Part(frozenset({"scrubbing.toml"}), lambda layers, *_: Scrubber.load(layers)),
    _Part(frozenset({"grouping.toml", "enhancements.rules", "fingerprints.rules", "groups.toml"}), Grouper.load),
)
"""In the order of the fields of ProjectRules."""

_KNOWN_FILES = frozenset().union(*(part.files for part in _PARTS))


class _Folder(NamedTuple):
    """A folder as it was last read: the texts of its files and, for default and projects, the rules that were made of them."""

    signature: Signature
    layer: Layer
    parts: ProjectRules | None = None


class RulesFolder:
    """Rules that follow the edits of their folder. `current` is the last version without a mistake.

    `pinned` has files that hold where the default's files say nothing; with `is_pinned_above_default` they hold against them.

    Raises InvalidRulesError if the folder does not exist, or has mistakes when it is first read. The error lists all of them.
    """

    def __init__(self, path: Path, *, pinned: Layer | None = None, is_pinned_above_default: bool = False) -> None:
        self.path = path
        self._pinned = pinned
        self._is_pinned_above_default = is_pinned_above_default
        self.grouping_caches = GroupingCaches()
        """Shared by the groupers of all projects and of all versions of the rules."""
        self._folders: dict[str, _Folder] = {}
        self._is_unread = False
        """Whether a file could not be read at the last attempt. Unlike a mistake in a file, this may pass without an edit."""
        self._seen = _scan(path)
        self.current = self._load()
        self.refused: str | None = None
        """Why the present content of the folder is not in force, or None if it is."""

    def load_other(self, path: Path) -> Rules:
        """Return the rules of another folder, with what is pinned here. Raises InvalidRulesError with all mistakes in it."""
        return RulesFolder(path, pinned=self._pinned, is_pinned_above_default=self._is_pinned_above_default).current

    def poll(self) -> bool:
        """Read what has changed and return whether new rules are in force. Never raises."""
        try:
            seen = _scan(self.path)
        except (InvalidRulesError, OSError) as error:
            self._seen = {}  # The next scan differs from it, so the folder is read when it is back.
            self._refuse(str(error))
            return False
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            fresh = self._load()
        except Exception as error:  # noqa: BLE001 -- also after a fault of ours the watch goes on with the last good rules
            if self._is_unread:
                self._seen = {}  # The next scan differs from it, so the files are read again.
            self._refuse(str(error) if isinstance(error, (InvalidRulesError, OSError)) else describe_failure(error))
            return False
        self.refused = None
        if fresh.version == self.current.version:
            log.info("rules read again, nothing changed", extra={"rules_version": fresh.version})
            return False
        log.info("rules reloaded", extra={"rules_version": fresh.version, "previous": self.current.version})
        self.current = fresh
        return True

    def _refuse(self, error: str) -> None:
        if error != self.refused:
            detail = {"rules_version": self.current.version, "error": error}
            log.error("edited rules refused, the last good rules stay in force", extra=detail)
        self.refused = error

    def _load(self) -> Rules:
        """Return the rules of the folder. Folders that did not change are not read again.

        Raises InvalidRulesError with all mistakes; what was read before is then kept.
        """
        errors: list[RuleError] = []
        self._is_unread = False
        read = {name: self._read(name, signature, errors) for name, signature in self._seen.items()}
        empty = _Folder((), {})
        bases, default = (read.get(name, empty) for name in (BASES, DEFAULT))
        is_shared_kept = all(self._folders.get(name) is read.get(name) for name in (BASES, DEFAULT)) and bool(self._folders)
        default_parts = default.parts if is_shared_kept else None
        shared = (
            self._build(errors, default.layer, default.layer, None, bases.layer) if default_parts is None else list(default_parts)
        )
        folders: dict[str, _Folder] = {BASES: bases, DEFAULT: _with_parts(default, shared)}
        projects: dict[int, ProjectRules] = {}
        for name, folder in read.items():
            if name in {BASES, DEFAULT}:
                continue
            number = name.removeprefix(f"{PROJECTS}/")
            if not _PROJECT_ID.fullmatch(number):
                errors.append(RuleError(str(self.path / name), None, None, "a project's folder is named by its number"))
                continue
            if not is_shared_kept or folder.parts is None:
                folder = _with_parts(folder, self._build(errors, default.layer, folder.layer, shared, bases.layer))  # noqa: PLW2901
            folders[name] = folder
            if folder.parts is not None:
                projects[int(number)] = folder.parts
        default_rules = folders[DEFAULT].parts
        if errors or default_rules is None:
            raise InvalidRulesError(list(dict.fromkeys(errors)))
        self._folders = folders
        return Rules(_version(folders), default_rules, projects)

    def _read(self, name: str, signature: Signature, errors: list[RuleError]) -> _Folder:
        """Read the rule files of one folder, unless its signature is the same as before."""
        before = self._folders.get(name)
        if before is not None and before.signature == signature:
            return before
        layer: dict[str, RuleFile] = {}
        for file, size, _ in signature:
            path = str(self.path / name / file)
            if size == _NO_FILE:
                errors.append(RuleError(path, None, None, "expected a file; this is a folder, a pipe, or a broken link"))
                continue
            try:
                layer[file] = RuleFile(path, (self.path / name / file).read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError) as error:
                self._is_unread |= isinstance(error, OSError)
                errors.append(RuleError(path, None, None, str(error)))
        return _Folder(signature, layer)

    def _build(self, errors: list[RuleError], default: Layer, own: Layer, shared: list[Any] | None, bases: Layer) -> list[Any]:
        """Return the parts of one project's rules, with None for a part that has a mistake. All mistakes are added to `errors`.

        A part for which the project has no file of its own is taken from `shared`, the parts of the default. So a hundred
        thousand projects need little memory.
        """
        known = ", ".join(sorted(_KNOWN_FILES))
        errors += [
            RuleError(file.path, None, None, f"no rules are read from a file of this name; known names are: {known}")
            for name, file in own.items()
            if name not in _KNOWN_FILES
        ]
        parts: list[Any] = []
        for number, part in enumerate(_PARTS):
            if shared is not None and part.files.isdisjoint(own):
                parts.append(shared[number])
                continue
            try:
                parts.append(part.load(self._layers(default, own), bases, self.grouping_caches))
            except InvalidRulesError as error:
                errors += error.errors
                parts.append(None)
        return parts

    def _layers(self, default: Layer, own: Layer) -> list[Layer]:
        """Return the layers of a project, or of the default itself, from the weakest to the strongest."""
        layers = [default] if own is default else [default, own]
        if self._pinned is not None:
            layers.insert(1 if self._is_pinned_above_default else 0, self._pinned)
        return layers


def load_rules(path: Path) -> Rules:
    """Return the rules of a folder. Raises InvalidRulesError with all mistakes in it."""
    return RulesFolder(path).current


def _with_parts(folder: _Folder, parts: list[Any]) -> _Folder:
    """Return the folder with its parts, or without any if one of them has a mistake."""
    return folder._replace(parts=None if None in parts else ProjectRules(*parts))


def _version(folders: Mapping[str, _Folder]) -> str:
    """Return a hash of the names and contents of all files."""
    version = xxhash.xxh3_64()
    for name, folder in folders.items():
        for file, (_, text) in folder.layer.items():
            version.update(f"{name}/{file}\0{len(text)}\0{text}".encode())
    return version.hexdigest()


def _scan(path: Path) -> dict[str, Signature]:
    """Return the signature of each folder without reading a file. Raises InvalidRulesError if `path` is not a rules folder."""
    if not path.is_dir():
        raise InvalidRulesError([RuleError(str(path), None, None, "no such folder")])
    if not any((path / name).is_dir() for name in (BASES, DEFAULT, PROJECTS)):
        reason = f"not a rules folder: it holds neither {BASES}/ nor {DEFAULT}/ nor {PROJECTS}/"
        raise InvalidRulesError([RuleError(str(path), None, None, reason)])
    found: dict[str, Signature] = {}
    for name in (BASES, DEFAULT, PROJECTS):
        if not (path / name).is_dir():
            continue
        if name != PROJECTS:
            found[name] = _signature(f"{path}/{name}")
            continue
        with os.scandir(path / name) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        for project in names:
            found[f"{PROJECTS}/{project}"] = _signature(f"{path}/{PROJECTS}/{project}")
    return found


def _signature(folder: str) -> Signature:
    with os.scandir(folder) as entries:
        return tuple(sorted((entry.name, *_looks(entry)) for entry in entries if _is_rule_file(entry)))


def _is_rule_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a rule file, by its name. Broken links with a hidden name are not: editors leave them as locks."""
    return entry.name.endswith(_SUFFIXES) and not (entry.name.startswith(".") and _looks(entry)[0] == _NO_FILE)


def _looks(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Return size and modification time of a file. Links are followed."""
    try:
        status = entry.stat()
    except OSError:
        return _NO_FILE, 0
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (_NO_FILE, 0)
