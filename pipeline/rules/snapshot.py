"""Snapshot: the rules of all projects at one version of the rules folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.filters.filters import Filters
from pipeline.grouping.grouper import Grouper
from pipeline.quotas.model import Quota
from pipeline.rules.project import Project
from pipeline.scrubbing.scrubber import Scrubber


class ProjectRules(NamedTuple):
    """The rules that hold for one project: those of the default, extended or overridden by its own."""

    project: Project
    filters: Filters
    quotas: tuple[Quota, ...]
    scrubber: Scrubber
    grouper: Grouper


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of all projects. `version` is a hash of the names and contents of all files."""

    version: str
    default: ProjectRules
    projects: Mapping[int, ProjectRules]

    def project(self, project_id: int) -> ProjectRules:
        """Return the rules of a project. A project without a folder has those of the default."""
        return self.projects.get(project_id, self.default)

    def all_quotas(self) -> Iterator[Quota]:
        """Yield the quotas of the default and of every project."""
        for rules in (self.default, *self.projects.values()):
            yield from rules.quotas

    def knows(self, project_id: int) -> bool:
        """Whether the project has a folder of its own."""
        return project_id in self.projects
