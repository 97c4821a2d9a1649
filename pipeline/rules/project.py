"""Projects (`project.toml`): their organization, their keys, and how long their events are kept."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, find_key, read_layers

Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Days = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
"""The range of Snuba's columns. It refuses events and outcomes with other values."""


class ProjectKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public key of a DSN, and the number that outcomes and quotas know it by."""

    id: Number
    public_key: str
    is_active: bool = True


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `project.toml`. The storage keeps the project's events for `retention_days`."""

    slug: str = ""
    organization: Number = 1
    organization_slug: str = ""
    keys: tuple[ProjectKey, ...] = ()
    allowed_origins: tuple[str, ...] = ("*",)
    retention_days: Days = 90

    def key_id(self, public_key: str) -> int | None:
        """Return the number of a key, or None if the key is not listed."""
        return next((key.id for key in self.keys if key.public_key == public_key), None)


def load_project(layers: list[Layer]) -> Project:
    """Read `project.toml` of each layer. Values of a later layer win. Raises InvalidRulesError.

    Two keys with one number would share their quotas, and two with one public key would be one. Both are mistakes.
    """
    project = read_layers("project.toml", layers, Project)
    file = next((layer["project.toml"] for layer in reversed(layers) if "project.toml" in layer), None)
    errors = []
    for name in ("id", "public_key"):
        seen: set[int | str] = set()
        for number, key in enumerate(project.keys):
            value = getattr(key, name)
            if value in seen and file is not None:
                line = find_key(file.text, f"keys[{number}].{name}")
                errors.append(RuleError(file.path, line, None, f"another key of the project has the {name} {value!r} too"))
            seen.add(value)
    if errors:
        raise InvalidRulesError(errors)
    return project
