"""Rule file: the text of one file of a rules folder. A layer is the files of one folder (default, or a project's) by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class RuleFile(NamedTuple):
    """`path` is how errors and explanations name the file: under the rules folder as it was given."""

    path: str
    text: str


Layer = Mapping[str, RuleFile]
"""File name (`filters.toml`, `enhancements.rules`, ...) to file. Layers are given the default's first, then the project's."""
