"""Project: who owns a project's events, and how long they are kept (`project.toml`)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from pipeline.model.rule_file import Layer
from pipeline.model.toml_file import read_layers

Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Days = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
"""What Snuba's columns hold: it refuses events and outcomes with other values."""


class ProjectKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A DSN's public key and the number that outcomes and quotas know it by."""

    id: Number
    public_key: str
    is_active: bool = True


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `project.toml`. `retention_days` is how long the storage keeps the project's events."""

    slug: str = ""
    organization: Number = 1
    keys: tuple[ProjectKey, ...] = ()
    allowed_origins: tuple[str, ...] = ("*",)
    retention_days: Days = 90

    def key_id(self, public_key: str) -> int | None:
        """Look up a key's number; a key that is not listed has none."""
        return next((key.id for key in self.keys if key.public_key == public_key), None)


def load_project(layers: list[Layer]) -> Project:
    """Read `project.toml` of each layer; the later layer's values win. Raises InvalidRulesError."""
    return read_layers("project.toml", layers, Project)
