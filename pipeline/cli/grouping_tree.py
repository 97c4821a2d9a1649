"""Prints explanations of grouping for people: the tree of components, and the comparison of two events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.text import Text
from rich.tree import Tree

from pipeline.cli.options import printable
from pipeline.grouping.component import Component
from pipeline.grouping.explain.comparison import Comparison
from pipeline.grouping.explain.explanation import Explanation
from pipeline.grouping.variants import Variant

MAX_SHOWN_LEAVES = 40

WIDEST_LINE = 20_000
"""Lines are not cut, because a rule's file and line are at their end. A terminal wraps them."""

_RULE_IN_HINT = re.compile(r"by stack trace rule \((.*)\)$")


def print_explanation(explanation: Explanation, console: Console | None = None) -> None:
    """Print how one event groups. A star and colour mark what contributes; brackets say why something does not."""
    console = console or Console(highlight=False, width=WIDEST_LINE)
    console.print(_heading(explanation))
    origins = {str(touched.rule).lower(): touched.rule.origin for touched in explanation.touched_frames}
    for name, variant in explanation.variants.items():
        console.print(_variant_tree(name, variant, origins))
    if explanation.touched_frames:
        console.print(_rules(explanation))
    console.print()


def print_comparison(comparison: Comparison, console: Console | None = None) -> None:
    """Print whether two events are one group and why, or what differs first."""
    console = console or Console(highlight=False, width=WIDEST_LINE)
    answer = Text("together", "bold green") if comparison.together else Text("apart", "bold red")
    console.print(Text.assemble(answer, ": ", comparison.reason))
    if comparison.shared:
        console.print(Text("shared values", "bold"))
        for at, value in comparison.shared[:MAX_SHOWN_LEAVES]:
            console.print(Text.assemble("  = ", (at, "cyan"), " ", repr(value)))
        if len(comparison.shared) > MAX_SHOWN_LEAVES:
            console.print(f"  ... and {len(comparison.shared) - MAX_SHOWN_LEAVES} more")
    if comparison.differs is not None:
        console.print(Text("first difference", "bold"))
        for mark, leaf in zip(("first ", "second"), comparison.differs, strict=True):
            shown = Text.assemble((leaf[0], "cyan"), " ", repr(leaf[1])) if leaf is not None else Text("nothing", "dim")
            console.print(Text.assemble("  ", mark, ": ", shown))


def _heading(explanation: Explanation) -> Group:
    lines = [
        Text.assemble((printable(explanation.title or "<unlabeled event>"), "bold")),
        Text.assemble(("event  ", "dim"), f"{explanation.event_id} of project {explanation.project_id}"),
        Text.assemble(
            ("group  ", "dim"),
            (explanation.primary_hash, "bold cyan"),
            *_others(explanation),
            (f"  {explanation.configuration}", "dim"),
        ),
    ]
    rule = explanation.matched_rule
    if rule is not None:
        kind = "built-in rule" if rule.is_builtin else "rule"
        lines.append(Text.assemble(("fingerprint rule  ", "dim"), f"{rule.file}:{rule.line}", (f"  ({kind}) ", "dim"), rule.text))
        if explanation.client_fingerprint:
            sent = ", ".join(map(repr, explanation.client_fingerprint))
            lines.append(Text.assemble(("client fingerprint  ", "dim"), sent, ("  (the rule goes before it)", "dim")))
    return Group(*lines)


def _others(explanation: Explanation) -> list[str]:
    rest = [f" + {hash_}" for hash_ in explanation.hashes[1:]]
    return rest + [f" + {hash_} (of the configuration before)" for hash_ in explanation.grouping.secondary_hashes]


def _variant_tree(name: str, variant: Variant, origins: Mapping[str, str]) -> Tree:
    style = "green" if variant.contributes else "dim"
    label = Text.assemble((f"{name}{'*' if variant.contributes else ''}", f"bold {style}"), (f"  {variant.description}", "dim"))
    if variant.hash is not None:
        label.append(f"  {variant.hash}", "cyan")
    tree = Tree(label, guide_style="dim")
    for value in variant.values:
        tree.add(Text(repr(value), "yellow"))
    if variant.component is not None:
        if variant.component.hint:
            label.append(f"  ({variant.component.hint})", "dim italic")
        _add_values(tree, variant.component, origins)
    return tree


def _add_values(tree: Tree, component: Component, origins: Mapping[str, str]) -> None:
    for value in component.values:
        if not isinstance(value, Component):
            tree.add(_leaf(value, component))
        elif value.values or value.hint:
            label = Text(f"{value.id}{'*' if value.contributes else ''}", "green" if value.contributes else "dim")
            only_leaf = len(value.values) == 1 and not isinstance(value.values[0], Component)
            if only_leaf:
                label.append(" ").append_text(_leaf(value.values[0], value))
            if value.hint:
                label.append(f"  ({_with_origin(value.hint, origins)})", "dim italic")
            branch = tree.add(label)
            if not only_leaf:
                _add_values(branch, value, origins)


def _leaf(value: Any, component: Component) -> Text:
    return Text(repr(value), "yellow" if component.contributes else "dim")


def _with_origin(hint: str, origins: Mapping[str, str]) -> str:
    """Return a hint with file and line if it names a rule. Case is ignored: sentry-ophio prints some patterns in lower case."""
    rule = _RULE_IN_HINT.search(hint)
    origin = origins.get(rule[1].lower()) if rule is not None else None
    return hint if origin is None else f"{hint}, {origin}"


def _rules(explanation: Explanation) -> Tree:
    tree = Tree(Text("stack-trace rules, in the order of their files", "bold"), guide_style="dim")
    for touched in explanation.touched_frames:
        where = f"{touched.stack} frame {touched.frame} {printable(touched.function or '<unknown>')}"
        tree.add(Text.assemble((where, "cyan"), "  ", str(touched.rule), (f"  {touched.rule.origin}", "dim")))
        if touched.overruled:
            tree.add(Text("    ... but in_app of this frame stays as it was sent", "dim italic"))
    return tree
