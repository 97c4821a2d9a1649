"""The rules folder: read whole, checked whole, watched for edits. A broken edit never replaces rules that work.

bases/      shipped, dated, frozen          default/      every project starts from these
projects/<project_id>/                      the same names; each extends or overrides the default
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import xxhash

from pipeline.filters.filters import Filters
from pipeline.grouping.grouper import Grouper
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, RuleFile
from pipeline.quotas.quota_file import load_quotas
from pipeline.rules.project import load_project
from pipeline.rules.snapshot import ProjectRules, Rules
from pipeline.scrubbing.scrubber import Scrubber

log = logging.getLogger(__name__)

Signature = tuple[tuple[str, int, int], ...]

_SUFFIXES = frozenset({".toml", ".rules"})


class RulesFolder:
    """Rules that follow their folder. `current` is the last version that was good; start-up refuses a bad one.

    `poll` is cheap while nothing changed: it compares names, sizes and times of change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen = _signature(folder)
        self.current = load_rules(folder)
        self.refused: str | None = None
        """Why the edit that is in the folder now is not in force; None where it is."""

    def poll(self) -> bool:
        """Read the folder again if it changed; true where new rules came into force. Never raises."""
        try:
            signature = _signature(self.folder)
            if signature == self._seen:
                return False
            self._seen = signature
            fresh = load_rules(self.folder)
        except (InvalidRulesError, OSError) as error:
            self.refused = str(error)
            detail = {"rules_version": self.current.version, "error": self.refused}
            log.error("edited rules refused, the last good ones stay", extra=detail)  # noqa: TRY400 -- it names file and line
            return False
        self.refused = None
        if fresh.version == self.current.version:
            return False
        log.info("rules reloaded", extra={"rules_version": fresh.version, "previous": self.current.version})
        self.current = fresh
        return True


def load_rules(folder: Path) -> Rules:
    """Read and check every rule file. Raises InvalidRulesError with all the mistakes found, or with the folder's absence."""
    if not folder.is_dir():
        raise InvalidRulesError([RuleError(str(folder), None, None, "no such folder")])
    errors: list[RuleError] = []
    version = xxhash.xxh3_64()
    bases = _read_layer(folder / "bases", folder, version)
    default = _read_layer(folder / "default", folder, version)
    default_rules = _load(errors, [default], bases)
    projects: dict[int, ProjectRules] = {}
    for path in _project_folders(folder, errors):
        own = _read_layer(path, folder, version)
        rules = _load(errors, [default, own], bases)
        if rules is not None:
            projects[int(path.name)] = rules
    if errors or default_rules is None:
        raise InvalidRulesError(list(dict.fromkeys(errors)))
    return Rules(version.hexdigest(), default_rules, projects)


def _load(errors: list[RuleError], layers: list[Layer], bases: Layer) -> ProjectRules | None:
    """Build one project's rules; every part is tried, so that all mistakes are reported at once."""
    parts = []
    for load in (load_project, Filters.load, load_quotas, Scrubber.load, lambda layers: Grouper.load(layers, bases)):
        try:
            parts.append(load(layers))  # type: ignore[operator]
        except InvalidRulesError as error:
            errors += error.errors
    return ProjectRules(*parts) if len(parts) == 5 else None  # type: ignore[arg-type]


def _read_layer(path: Path, root: Path, version: xxhash.xxh3_64) -> Layer:
    """Read the rule files of one folder; a missing folder is an empty layer. Raises InvalidRulesError for what is not text."""
    layer: dict[str, RuleFile] = {}
    if not path.is_dir():
        return layer
    for file in sorted(path.iterdir()):
        if file.suffix not in _SUFFIXES or not file.is_file():
            continue
        name = str(file.relative_to(root.parent))
        try:
            data = file.read_bytes()
            text = data.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRulesError([RuleError(name, None, None, str(error))]) from None
        version.update(f"{file.relative_to(root)}\0{len(data)}\0".encode())
        version.update(data)
        layer[file.name] = RuleFile(name, text)
    return layer


def _project_folders(folder: Path, errors: list[RuleError]) -> Iterator[Path]:
    projects = folder / "projects"
    if not projects.is_dir():
        return
    for path in sorted(projects.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        if path.name.isascii() and path.name.isdecimal():
            yield path
        else:
            errors.append(
                RuleError(str(path.relative_to(folder.parent)), None, None, "a project's folder is named by its number")
            )


def _signature(folder: Path) -> Signature:
    """Name, size and time of change of each rule file."""
    return tuple(
        (str(file), stat.st_size, stat.st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.suffix in _SUFFIXES and (stat := file.stat())
    )
