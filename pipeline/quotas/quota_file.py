"""Quota files: read a `quotas.toml` of the rules folder into quotas, or refuse it with file and line (docs/spec/quotas.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.model.category import DataCategory
from pipeline.model.errors import InvalidRulesError, RuleError
from pipeline.model.rule_file import Layer, RuleFile, convert, find_key, parse_toml
from pipeline.quotas.model import Bucket, Quota, QuotaScope, Spike

FILE_NAME = "quotas.toml"
MAX_QUOTAS = 1_000
MAX_FILE_CHARS = 1_000_000
"""Larger files are refused before they are parsed, because every event of the project would pay for their quotas."""

_Positive = Annotated[int, Meta(ge=1)]
_Rate = Annotated[float, Meta(gt=0, le=1)]


class _Spike(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    factor: Annotated[float, Meta(ge=1, le=1_000_000)]
    windows: Annotated[int, Meta(ge=1, le=1_000)]
    minimum: Annotated[int, Meta(ge=1, le=2**53)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[quota]]` table as it is written in the file."""

    scope: Literal["organization", "project", "key", "group"] = "organization"
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None
    scope_id: Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")] | Annotated[int, Meta(ge=0)] | None = None
    categories: tuple[str, ...] = ()
    limit: Annotated[int, Meta(ge=0)] | None = None
    window_s: Annotated[int, Meta(ge=1, le=366 * 86_400)] | None = None
    reason_code: Annotated[str, Meta(max_length=128)] | None = None
    burst: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    refill_per_s: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    spike: _Spike | None = None
    fair_share: _Rate | None = None
    reserve: Annotated[int, Meta(ge=0, le=100_000)] = 0
    sample_rate: _Rate | None = None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with the entry as a whole: the key at fault, `""` for the whole table, and a message."""
        unknown = [name for name in self.categories if DataCategory.from_label(name) is DataCategory.UNKNOWN]
        if unknown:
            yield "categories", f"unknown category `{unknown[0]}`"
        if self.limit == 0:
            return
        if len({DataCategory.from_label(name).unit for name in self.categories}) > 1:
            yield "categories", "a quota counts items or bytes, not both"
        if self.id is None:
            yield "", "a quota that counts needs an `id`"
        yield from self._problems_of_limit()
        if self.fair_share is not None and (self.scope != "organization" or self.limit is None):
            yield "fair_share", "only an organization's `limit` can be shared fairly"
        if self.sample_rate is not None and self.scope != "group":
            yield "sample_rate", "only a group's excess is sampled"
        if self.reserve and (self.scope == "group" or self.window_s is None):
            yield "reserve", "a reserve is for groups not seen before in a window: a group's quota or a token bucket has none"

    def _problems_of_limit(self) -> Iterator[tuple[str, str]]:
        if (self.burst is None) != (self.refill_per_s is None):
            yield "burst", "`burst` and `refill_per_s` go together"
        if self.burst is not None:
            if self.window_s is not None or self.limit is not None or self.spike is not None:
                yield "burst", "`burst` replaces `limit`, `window_s` and `spike`"
            if self.scope == "group":
                yield "burst", "a group's quota has a fixed window"
        elif self.window_s is None:
            yield "", "a quota that counts needs `window_s`"
        if self.spike is not None and (self.limit is not None or self.scope == "group"):
            yield "spike", "`spike` replaces `limit`, and is not for groups"

    def quota(self) -> Quota:
        """Return the entry as a quota."""
        return Quota(
            id=self.id,
            scope=QuotaScope(self.scope),
            scope_id=None if self.scope_id is None else str(self.scope_id),
            categories=frozenset(DataCategory.from_label(name) for name in self.categories),
            limit=self.limit,
            window_s=self.window_s,
            reason_code=self.reason_code,
            bucket=None if self.burst is None or self.refill_per_s is None else Bucket(self.burst, self.refill_per_s),
            spike=None if self.spike is None else Spike(self.spike.factor, self.spike.windows, self.spike.minimum),
            fair_share=self.fair_share,
            reserve=self.reserve,
            sample_rate=self.sample_rate,
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    quota: tuple[_Entry, ...] = ()


def load_quotas(layers: Sequence[Layer]) -> tuple[Quota, ...]:
    """Return the quotas of all layers: those of the default, then those of the project. A later one replaces one of the same id.

    Raises InvalidRulesError with every mistake of the first file that has any.
    """
    quotas: dict[str, Quota] = {}
    for number, layer in enumerate(layers):
        file = layer.get(FILE_NAME)
        if file is None:
            continue
        for at, entry in enumerate(_read(file)):
            quotas[entry.id or f" {number}.{at}"] = entry.quota()
    return tuple(quotas.values())


def _read(file: RuleFile) -> tuple[_Entry, ...]:
    if len(file.text) > MAX_FILE_CHARS or file.text.count("[[quota") > MAX_QUOTAS:
        message = f"more than {MAX_QUOTAS:,} quotas, or {MAX_FILE_CHARS:,} characters"
        raise InvalidRulesError([RuleError(file.path, None, None, message)])
    entries = convert(parse_toml(file), file, _File).quota
    errors = []
    seen: set[str] = set()
    for at, entry in enumerate(entries):
        found = list(entry.problems())
        if entry.id is not None and entry.id in seen:
            found.append(("id", f"a second quota of id `{entry.id}`"))
        seen.add(entry.id or "")
        for key, message in found:
            line = find_key(file.text, f"quota[{at}].{key}" if key else f"quota[{at}]")
            errors.append(RuleError(file.path, line, None, message, file.text.splitlines()[line - 1] if line else ""))
    if errors:
        raise InvalidRulesError(errors)
    return entries
