"""How `pipeline rules` prints for people."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from pipeline.cli.options import printable, stdout
from pipeline.rule_tools.group_diff import Change, Kind, Place, Report
from pipeline.rule_tools.unused_rules import UntouchedRule

_COLOURS = {Kind.MERGE: "yellow", Kind.SPLIT: "magenta", Kind.REGROUP: "red", Kind.MOVE: "cyan"}
_SHOWN_EXAMPLES = 2


def print_report(report: Report, limit: int) -> None:
    """Print a summary, and the `limit` changes with most events with examples of each."""
    if not report.changes:
        stdout.print(f"[green]No group changes[/]: {report.events:,} events in {report.groups_before:,} groups.")
        return
    for change in report.changes[:limit]:
        _print_change(change)
    left = len(report.changes) - limit
    if left > 0:
        stdout.print(f"[dim]... and {left:,} more; --limit {len(report.changes)} shows all[/]\n")
    table = Table(box=None, pad_edge=False)
    for column in ("change", "times", "events", "of them elsewhere"):
        table.add_column(column, justify="left" if column == "change" else "right")
    for kind in Kind:
        changes = [change for change in report.changes if change.kind == kind]
        if changes:
            events, changed = sum(change.events for change in changes), sum(change.changed for change in changes)
            table.add_row(f"[{_COLOURS[kind]}]{kind}[/]", f"{len(changes):,}", f"{events:,}", f"{changed:,}")
    stdout.print(table)
    stdout.print(f"{report.changed:,} of {report.events:,} events change group.")
    stdout.print(f"{report.groups_before:,} groups become {report.groups_after:,}.")


def _print_change(change: Change) -> None:
    before, after = change.groups(after=False), change.groups(after=True)
    heads = {
        Kind.MERGE: f"{len(before)} groups become one",
        Kind.SPLIT: f"one group becomes {len(after)}",
        Kind.REGROUP: f"{len(before)} groups become {len(after)}, cut otherwise",
        Kind.MOVE: "a group gets another id",
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
            stdout.print(f"           [dim]{example.event_id}  {title}  ({escape(example.origin)})[/]", soft_wrap=True)
    if len(change.flows) > 10:
        stdout.print(f"  [dim]... and {len(change.flows) - 10:,} more ways[/]")
    stdout.print()


def _name(place: Place) -> str:
    return f"{place.group_id} [dim]{place.primary_hash[:12]}[/]"


def print_untouched(untouched: list[UntouchedRule], total: int) -> None:
    """Print the rules that nothing touched; of the shipped bases, which know more platforms than anybody has, the number."""
    own = [rule for rule in untouched if not rule.is_base]
    stdout.print(f"No event touches {len(untouched):,} of {total:,} rules, {len(untouched) - len(own):,} of them in the bases.")
    for rule in own:
        stdout.print(f"  [yellow]{escape(rule.file)}:{rule.line}[/]  {escape(rule.rule)}", soft_wrap=True)
