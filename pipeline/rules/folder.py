"""The rules folder: read whole, checked whole, watched for edits. A broken edit never replaces rules that work.

bases/      shipped, dated, frozen          default/      every project starts from these
projects/<project_id>/                      the same names; each extends or overrides the default
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
"""Name, size in bytes and time of change in ns of each rule file of one folder."""

BASES, DEFAULT, PROJECTS = "bases", "default", "projects"
_PROJECT_ID = re.compile("[1-9][0-9]{0,18}")
"""Without leading zeros: `7` and `07` would be one project, and one of them in force."""
_SUFFIXES = (".toml", ".rules")
_NO_FILE = -1
"""Stands for the size of what has a rule file's name but cannot be read as one: it must not pass for a file that is absent."""


class _Part(NamedTuple):
    """One part of a project's rules: the files that it is read from, and how."""

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
    """One folder as it was last read: its files, and for default and projects the parts made of them."""

    signature: Signature
    layer: Layer
    parts: ProjectRules | None = None


class RulesFolder:
    """Rules that follow their folder. `current` is the last version that was good; start-up refuses a bad one.

    Raises InvalidRulesError with all the mistakes found, or with the folder's absence.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grouping_caches = GroupingCaches()
        """Shared by the groupers of all projects and of all versions of the rules."""
        self._folders: dict[str, _Folder] = {}
        self._seen = _scan(path)
        self.current = self._load()
        self.refused: str | None = None
        """Why the edit that is in the folder now is not in force; None where it is."""

    def poll(self) -> bool:
        """Read what changed; true where new rules came into force. Never raises."""
        try:
            seen = _scan(self.path)
        except (InvalidRulesError, OSError) as error:
            self._seen = {}  # so that whatever comes back is read
            self._refuse(str(error))
            return False
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            fresh = self._load()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the watch goes on and the last good rules stay
            self._refuse(str(error) if isinstance(error, (InvalidRulesError, OSError)) else describe_failure(error))
            return False
        self.refused = None
        if fresh.version == self.current.version:
            log.info("the rules in force stay", extra={"rules_version": fresh.version})
            return False
        log.info("rules reloaded", extra={"rules_version": fresh.version, "previous": self.current.version})
        self.current = fresh
        return True

    def _refuse(self, error: str) -> None:
        if error != self.refused:
            detail = {"rules_version": self.current.version, "error": error}
            log.error("edited rules refused, the last good ones stay", extra=detail)
        self.refused = error

    def _load(self) -> Rules:
        """Build the rules, anew only where a folder changed. Keeps what it read only if all of it is good."""
        errors: list[RuleError] = []
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
        """Read the rule files of one folder, unless they are as they were."""
        before = self._folders.get(name)
        if before is not None and before.signature == signature:
            return before
        layer: dict[str, RuleFile] = {}
        for file, size, _ in signature:
            path = str(self.path / name / file)
            if size == _NO_FILE:
                errors.append(RuleError(path, None, None, "expected a file; this is a folder, a pipe, or a link to nothing"))
                continue
            try:
                layer[file] = RuleFile(path, (self.path / name / file).read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError) as error:
                errors.append(RuleError(path, None, None, str(error)))
        return _Folder(signature, layer)

    def _build(self, errors: list[RuleError], default: Layer, own: Layer, shared: list[Any] | None, bases: Layer) -> list[Any]:
        """Build the parts of one project's rules; all are tried, so that all mistakes are reported at once.

        A part that the project says nothing about is `shared` with the default: a hundred thousand projects cost little.
        """
        known = ", ".join(sorted(_KNOWN_FILES))
        errors += [
            RuleError(file.path, None, None, f"no rules are read from a file of this name; there are: {known}")
            for name, file in own.items()
            if name not in _KNOWN_FILES
        ]
        parts: list[Any] = []
        for number, part in enumerate(_PARTS):
            if shared is not None and part.files.isdisjoint(own):
                parts.append(shared[number])
                continue
            try:
                parts.append(part.load([default] if own is default else [default, own], bases, self.grouping_caches))
            except InvalidRulesError as error:
                errors += error.errors
                parts.append(None)
        return parts


def load_rules(path: Path) -> Rules:
    """Read and check every rule file once. Raises InvalidRulesError with all the mistakes found."""
    return RulesFolder(path).current


def _with_parts(folder: _Folder, parts: list[Any]) -> _Folder:
    """Attach the parts, if all of them could be made."""
    return folder._replace(parts=None if None in parts else ProjectRules(*parts))


def _version(folders: Mapping[str, _Folder]) -> str:
    """Hash every file's name and content."""
    version = xxhash.xxh3_64()
    for name, folder in folders.items():
        for file, (_, text) in folder.layer.items():
            version.update(f"{name}/{file}\0{len(text)}\0{text}".encode())
    return version.hexdigest()


def _scan(path: Path) -> dict[str, Signature]:
    """Look at the folders without reading a file. Raises InvalidRulesError where there is none."""
    if not path.is_dir():
        raise InvalidRulesError([RuleError(str(path), None, None, "no such folder")])
    if not any((path / name).is_dir() for name in (BASES, DEFAULT, PROJECTS)):
        reason = f"no rules folder: it holds neither {BASES}/ nor {DEFAULT}/ nor {PROJECTS}/"
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
    """Tell by the name; but what editors leave under a hidden name while they work is none: a link to nothing."""
    return entry.name.endswith(_SUFFIXES) and not (entry.name.startswith(".") and _looks(entry)[0] == _NO_FILE)


def _looks(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Give size and time of change, through links."""
    try:
        status = entry.stat()
    except OSError:
        return _NO_FILE, 0
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (_NO_FILE, 0)
