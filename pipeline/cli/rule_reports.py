"""What `pipeline rules` prints for people: differences between two versions, and unused rules."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from pipeline.cli.options import printable, stdout
from pipeline.rule_tools.effects import PreparedEvent
from pipeline.rule_tools.group_diff import ChangeKind, GroupChange, GroupDiff, GroupRef
from pipeline.rule_tools.rules_diff import RuleEffect, RulesDiff
from pipeline.rule_tools.unused_rules import UnusedRule

_COLOURS = {ChangeKind.MERGE: "yellow", ChangeKind.SPLIT: "magenta", ChangeKind.REGROUP: "red", ChangeKind.MOVE: "cyan"}
_SHOWN_EXAMPLES = 2


def print_rules_diff(diff: RulesDiff, limit: int) -> None:
    """Print what happens to groups, and then what filters and scrubbing rules do."""
    _print_group_diff(diff.groups, limit)
    _print_effects("filter", "events", diff.filters)
    _print_effects("scrubbing rule", "values", diff.scrubbing)


def _print_effects(kind: str, unit: str, effects: Sequence[RuleEffect]) -> None:
    """Print a line for each rule, with examples of what is new if it changes."""
    for effect in effects:
        name = f"{kind} {escape(printable(effect.name))}"
        if not effect.is_changed:
            stdout.print(f"[dim]{name}: {effect.after:,} {unit}, the same as before[/]")
            continue
        changes = ", ".join(f"{number:,} {word}" for number, word in ((effect.added, "added"), (effect.gone, "gone")) if number)
        stdout.print(f"[bold yellow]{name}[/]: {effect.after:,} {unit}, {effect.before:,} before ({changes})")
        for example in effect.examples[:_SHOWN_EXAMPLES]:
            scrubbed = "" if example.field is None else f"  {example.field} → {example.becomes}"
            event = example.event
            text = escape(printable(f"{event.event_id}  {event.title}  ({event.location}){scrubbed}"))
            stdout.print(f"           [dim]{text}[/]", soft_wrap=True)


def _print_group_diff(diff: GroupDiff, limit: int) -> None:
    """Print the `limit` changes that concern most events, with examples of each, and then a summary."""
    if not diff.changes:
        stdout.print(f"[green]No group changes[/]: {diff.events:,} events in {diff.groups_before:,} groups.")
        return
    for change in diff.changes[:limit]:
        _print_change(change)
    left = len(diff.changes) - limit
    if left > 0:
        stdout.print(f"[dim]... and {left:,} more; --limit {len(diff.changes)} shows all[/]\n")
    table = Table(box=None, pad_edge=False)
    for column in ("change", "times", "events", "of them elsewhere"):
        table.add_column(column, justify="left" if column == "change" else "right")
    for kind in ChangeKind:
        changes = [change for change in diff.changes if change.kind == kind]
        if changes:
            events, changed = sum(change.events for change in changes), sum(change.changed for change in changes)
            table.add_row(f"[{_COLOURS[kind]}]{kind}[/]", f"{len(changes):,}", f"{events:,}", f"{changed:,}")
    stdout.print(table)
    stdout.print(f"{diff.changed:,} of {diff.events:,} events change group.")
    stdout.print(f"{diff.groups_before:,} groups become {diff.groups_after:,}.")


def _print_change(change: GroupChange) -> None:
    before, after = change.groups(after=False), change.groups(after=True)
    heads = {
        ChangeKind.MERGE: f"{len(before)} groups become one",
        ChangeKind.SPLIT: f"one group becomes {len(after)}",
        ChangeKind.REGROUP: f"{len(before)} groups become {len(after)}, cut otherwise",
        ChangeKind.MOVE: "a group gets another id",
    }
    project = change.flows[0].before.project_id
    stdout.print(
        f"[bold {_COLOURS[change.kind]}]{change.kind}[/]  {heads[change.kind]}: {change.events:,} events of project {project}"
    )
    for flow in change.flows[:10]:
        stays = flow.before.group_id == flow.after.group_id
        note = "stay in" if stays else f"{_name(flow.before)} → "
        stdout.print(f"  {flow.events:>7,}  {note} {_name(flow.after)}", soft_wrap=True)
        for example in flow.examples[:_SHOWN_EXAMPLES]:
            title = escape(printable(example.title))
            stdout.print(f"           [dim]{example.event_id}  {title}  ({escape(example.location)})[/]", soft_wrap=True)
    if len(change.flows) > 10:
        stdout.print(f"  [dim]... and {len(change.flows) - 10:,} more ways[/]")
    stdout.print()


def _name(group: GroupRef) -> str:
    return f"{group.group_id} [dim]{group.primary_hash[:12]}[/]"


def print_unused(unused: list[UnusedRule], total: int) -> None:
    """Print each unused rule of the operator, and only the number of unused base rules, which cover all platforms."""
    own = [rule for rule in unused if not rule.is_base]
    stdout.print(f"No event touches {len(unused):,} of {total:,} rules, {len(unused) - len(own):,} of them in the bases.")
    for rule in own:
        stdout.print(f"  [yellow]{escape(rule.file)}:{rule.line}[/]  {escape(rule.rule)}", soft_wrap=True)


def print_effects(event: PreparedEvent) -> None:
    """Print which filter would drop an event, and what scrubbing takes out of it: the field, what it becomes, and the rule."""
    if event.filtered_by is not None:
        stdout.print(f"filtered by [yellow]{escape(event.filtered_by)}[/]", soft_wrap=True)
    if not event.removed:
        stdout.print("scrubbing takes nothing", style="dim")
    for (rule, field), text in sorted(event.removed.items(), key=lambda effect: effect[0][1]):
        shown = escape(printable(text))
        stdout.print(f"scrubbed  [cyan]{escape(field)}[/] becomes {shown}  [dim]{escape(rule)}[/]", soft_wrap=True)
