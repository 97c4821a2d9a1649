"""Variants: the ways in which an event can be grouped, and which of them contribute a hash.

See docs/spec/grouping.md, "From event to hashes" and "Variants".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.grouping.component import Component
from pipeline.grouping.fingerprint_rules.variables import is_default
from pipeline.grouping.hashing import HashKind
from pipeline.grouping.strategies import STRATEGIES, WITH_STACK
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.model.event import Event

_HASH = re.compile(r"[0-9a-f]{32}")
MAX_CHECKSUM_CHARS = 32
"""A longer checksum does not fit into the storage of hashes, so only its hash is published."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to group an event. `hash` is None if it does not contribute.

    `values` is the resolved fingerprint, if one takes part.
    """

    type: str
    hash: str | None
    component: Component | None = None
    values: tuple[str, ...] = ()

    @property
    def contributes(self) -> bool:
        """Whether the variant's hash is one of the event's."""
        return self.hash is not None

    @property
    def description(self) -> str:
        """What the variant groups by, in words."""
        if self.component is None:
            return _DESCRIPTIONS[self.type]
        described = self.component.describe()
        return f"modified {described}" if self.type == "salted-component" else described

    def to_json(self) -> dict[str, Any]:
        """Return the variant as `explain --json` prints it."""
        body: dict[str, Any] = {
            "type": self.type,
            "hash": self.hash,
            "contributes": self.contributes,
            "description": self.description,
            "component": self.component.to_json() if self.component is not None else None,
        }
        if self.values:
            body["values"] = list(self.values)
        return body


_DESCRIPTIONS = {
    "checksum": "legacy checksum",
    "hashed-checksum": "hashed legacy checksum",
    "custom-fingerprint": "custom fingerprint",
    "built-in-fingerprint": "built-in fingerprint",
    "fallback": "fallback",
}


def checksum_variants(checksum: str, kind: HashKind) -> dict[str, Variant]:
    """Return the variants of an event that the sender has given a checksum."""
    if _HASH.fullmatch(checksum):
        return {"checksum": Variant("checksum", checksum)}
    variants = {"hashed-checksum": Variant("hashed-checksum", kind.hash_values([checksum]))}
    if len(checksum) <= MAX_CHECKSUM_CHARS:
        variants["checksum"] = Variant("checksum", checksum)
    return variants


def component_variants(event: Event, ctx: GroupingContext, kind: HashKind) -> Variants:
    """Run the strategies and return the root component of each variant.

    The first strategy with a contributing component wins. With `ctx.whole` the later ones run too, and do not contribute.
    """
    by_variant: dict[str, list[Any]] = {}
    precedence: str | None = None
    for name, strategy in STRATEGIES:
        variants = strategy(event, ctx)
        if name in WITH_STACK:
            _reconcile(variants, kind)
            _prefer_stacks(variants)
        contributing = sorted(variant for variant, component in variants.items() if component.contributes)
        for variant, component in variants.items():
            by_variant.setdefault(variant, []).append(component)
            if precedence is not None and component.contributes:
                component.update(contributes=False, hint=precedence)
        if precedence is None and contributing:
            precedence = _precedence(name, contributing)
            if not ctx.whole:
                break
    roots = {}
    for variant, components in by_variant.items():
        root = Component(variant, components)
        if not root.contributes and precedence is not None:
            root.update(hint=precedence)
        roots[variant] = root
    return roots


def plain_variants(roots: Variants, kind: HashKind) -> dict[str, Variant]:
    """Return the variants of an event that is grouped by the trees alone."""
    return {name: Variant("component", root.digest(kind), root) for name, root in roots.items()}


def salted_variants(roots: Variants, values: tuple[str, ...], kind: HashKind) -> dict[str, Variant]:
    """Return the variants of a fingerprint with `{{ default }}` among other values. The leaves of the trees replace it."""
    variants = {}
    for name, root in roots.items():
        hash_ = None
        if root.contributes:
            leaves = root.encoded(kind)
            hash_ = kind.digest(b"".join([leaves if is_default(value) else kind.encode(value) for value in values]))
        variants[name] = Variant("salted-component", hash_, root, values)
    return variants


def custom_variants(roots: Variants, values: tuple[str, ...], kind: HashKind, *, is_builtin: bool) -> dict[str, Variant]:
    """Return the variants of a fingerprint without `{{ default }}`. No tree contributes."""
    for root in roots.values():
        root.update(contributes=False, hint="custom fingerprint takes precedence")
    name = "built-in-fingerprint" if is_builtin else "custom-fingerprint"
    return {**plain_variants(roots, kind), name: Variant(name, kind.hash_values(values), values=values)}


def with_fallback(variants: dict[str, Variant], kind: HashKind) -> dict[str, Variant]:
    """Add the fallback variant if nothing contributes. Its hash is the same for all such events."""
    if any(variant.contributes for variant in variants.values()):
        return variants
    return {**variants, "fallback": Variant("fallback", kind.hash_values([]))}


def hashes_of(variants: dict[str, Variant]) -> tuple[str, ...]:
    """Return the hashes to publish, without repetition. The first is the primary one, and that of `system` comes last."""
    ordered = [variant for name, variant in variants.items() if name != "system"]
    if "system" in variants:
        ordered.append(variants["system"])
    return tuple(dict.fromkeys(variant.hash for variant in ordered if variant.hash is not None))


def _precedence(name: str, variants: list[str]) -> str:
    who = name if variants == ["default"] else f"{name} of {'/'.join(variants)}"
    return f"{who} take{'' if name.endswith('s') else 's'} precedence"


def _reconcile(variants: Variants, kind: HashKind) -> None:
    """Let `app` not contribute if its hash equals that of `system`, or if `system` does not contribute."""
    app, system = variants.get("app"), variants.get("system")
    if app is None or system is None or not app.contributes:
        return
    if not system.contributes:
        app.update(contributes=False, hint="ignored because system variant is not used")
    elif app.encoded(kind) == system.encoded(kind):
        app.update(contributes=False, hint="ignored because hash matches system variant")


def _prefer_stacks(variants: Variants) -> None:
    """Let variants without a contributing stack not contribute if another variant has one."""
    if len(variants) < 2:
        return
    with_stack = [name for name, component in variants.items() if component.has_contributing("stacktrace")]
    if not with_stack:
        return
    who = f"the {with_stack[0]} variant does" if len(with_stack) == 1 else f"the {' and '.join(sorted(with_stack))} variants do"
    for name, component in variants.items():
        if name not in with_stack:
            hint = f"ignored because this variant does not have a contributing stacktrace, but {who}"
            component.update(contributes=False, hint=hint)
