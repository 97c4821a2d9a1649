"""`grouping.toml`: how a project's events are grouped, and how they were grouped before a change.

See docs/spec/grouping.md, "Changing a configuration".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import msgspec

from pipeline.grouping.configurations import CONFIGURATIONS
from pipeline.grouping.parameterization.messages import kinds_of
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, find_key, read_layers

FILE = "grouping.toml"
BASE_PREFIX, BASE_SUFFIX = "enhancements@", ".rules"

InAppFrom = Literal["rules", "sender"]
PREVIOUS = ("previous_strategy", "previous_hash", "previous_enhancement_base", "previous_keep_values", "previous_in_app")
"""The keys that name what was in force before a change."""

HashName = Literal["xxh3_128", "md5"]


class GroupingToml(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `grouping.toml`. The `previous_` fields name what was in force before a change. A field left out did not change.

    Until the end of `previous_until` (UTC) the previous hashes are published as secondary hashes, so that groups do not split.

    `enhancement_base` is the date of a file in `rules/bases`, or `none`. If it is left out, the strategy's is used: the newest
    that is not newer than the strategy's own date.

    `keep_values` are kinds of values that stay in messages, such as `status_code`. With `in_app = "sender"`, frames stay in or
    out of the app as they were sent, and rules decide about the others only.
    """

    strategy: str = "newstyle:2023-01-11"
    hash: HashName = "xxh3_128"
    enhancement_base: str | None = None
    builtin_fingerprints: bool = True
    keep_values: tuple[str, ...] = ()
    in_app: InAppFrom = "rules"
    previous_strategy: str | None = None
    previous_hash: HashName | None = None
    previous_enhancement_base: str | None = None
    previous_keep_values: tuple[str, ...] | None = None
    previous_in_app: InAppFrom | None = None
    previous_until: dt.date | None = None

    @property
    def has_previous(self) -> bool:
        """Whether the file names a previous way of grouping."""
        return any(getattr(self, key) is not None for key in PREVIOUS)


def load_grouping_toml(layers: Sequence[Layer], bases: Layer) -> GroupingToml:
    """Read `grouping.toml` of each layer. Later values win. Raises InvalidRulesError, also for names that do not exist."""
    settings = read_layers(FILE, layers, GroupingToml)
    dates = sorted(name.removeprefix(BASE_PREFIX).removesuffix(BASE_SUFFIX) for name in bases if name.startswith(BASE_PREFIX))
    wrong: list[tuple[str, str]] = []
    for key, strategy in (("strategy", settings.strategy), ("previous_strategy", settings.previous_strategy)):
        if strategy is not None and strategy not in CONFIGURATIONS:
            wrong.append((key, f"unknown strategy `{strategy}`, expected one of {', '.join(CONFIGURATIONS)}"))
    for key, base in (
        ("enhancement_base", settings.enhancement_base),
        ("previous_enhancement_base", settings.previous_enhancement_base),
    ):
        if base not in {None, "none", *dates}:
            wrong.append((key, f"no base of `{base}` in bases/, expected none or one of {', '.join(dates) or 'no file'}"))
    before = settings.previous_strategy or settings.strategy
    for key, strategy, kept in (
        ("keep_values", settings.strategy, settings.keep_values),
        ("previous_keep_values", before, settings.previous_keep_values),
    ):
        known = kinds_of(CONFIGURATIONS[strategy].parameterization) if strategy in CONFIGURATIONS else list(kept or ())
        unknown = sorted(set(kept or ()) - set(known))
        if unknown:
            wrong.append((key, f"unknown kinds {', '.join(unknown)}; those of {strategy} are {', '.join(known)}"))
    if settings.has_previous and settings.previous_until is None:
        key = next(key for key in PREVIOUS if getattr(settings, key) is not None)
        wrong.append((key, "previous_until is missing: the last day on which the hashes of before are published"))
    if wrong:
        raise InvalidRulesError([_error(key, message, layers) for key, message in wrong])
    return settings


def _error(key: str, message: str, layers: Sequence[Layer]) -> RuleError:
    """Return an error that names the last file which sets the key."""
    for layer in reversed(layers):
        file = layer.get(FILE)
        line = find_key(file.text, key) if file is not None else None
        if file is not None and line is not None:
            return RuleError(file.path, line, 1, message, file.text.splitlines()[line - 1])
    return RuleError(FILE, None, None, message)
