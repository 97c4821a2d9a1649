"""`pipeline quotas`: show what quotas have used, and give charges back."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from pipeline.cli.options import Moment, WholeNumber, clock, fail, find_rules, rules_option, settings_file_option, stdout
from pipeline.settings.loading import load_settings

log = logging.getLogger(__name__)


@click.group()
def quotas() -> None:
    """Show what quotas have used, or give it back."""


@quotas.command(short_help="Show what each quota has used and dropped.")
@settings_file_option
@rules_option
@click.option("--project", type=WholeNumber(), metavar="ID", help="Only the quotas that count events of this project.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for each counter.")
def show(settings_file: Path | None, rules: str | None, project: int | None, *, as_json: bool) -> None:
    """Show what each quota has used in its present window, when the window ends, and what was dropped today.

    A quota is shown once for each project, key or group that it has counted. Above 80 % of the limit it is printed in red.
    """
    from rich.table import Table

    from pipeline.quotas.redis_usage import read_usage
    from pipeline.rules.folder import load_rules
    from pipeline.wiring.redis import connect_redis

    settings = load_settings(settings_file, {("rules",): rules})
    snapshot = load_rules(find_rules(settings))
    by_project = {None: snapshot.default.quotas} | {number: own.quotas for number, own in snapshot.projects.items()}
    now = time.time()
    usages = read_usage(connect_redis(settings), by_project, now)
    if project is not None:
        shown = snapshot.project(project).project
        usages = [usage for usage in usages if usage.concerns(project, shown.organization, [key.id for key in shown.keys])]
    if as_json:
        for usage in usages:
            print(json.dumps(usage.to_json()))
        return
    if not usages:
        print("no quota has counted anything in its present window")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("quota", "of", "used", "limit", "", "resets", "dropped today"):
        table.add_column(title, justify="left" if title in {"quota", "of", "resets"} else "right")
    for usage in usages:
        owner = f"{usage.scope} {usage.owner or usage.organization}"
        share = "" if usage.share is None else f"{usage.share:.0%}"
        resets = "" if usage.resets_at is None else datetime.fromtimestamp(usage.resets_at, UTC).strftime("%m-%d %H:%M:%SZ")
        limit = "-" if usage.limit is None else f"{usage.limit:,}"
        style = "bold red" if usage.is_nearly_full else None
        table.add_row(usage.quota, owner, f"{usage.used:,}", limit, share, resets, f"{usage.dropped_today:,}", style=style)
    stdout.print(table)


@quotas.command(short_help="Refund charges to the quotas of a project.")
@settings_file_option
@rules_option
@click.option("--project", type=WholeNumber(), required=True, metavar="ID", help="The project whose events were charged.")
@click.option("--key", type=WholeNumber(), metavar="ID", help="The number of the key that they were sent with.")
@click.option("--category", default="error", show_default=True, metavar="NAME", help="The data category that was charged.")
@click.option("--quantity", type=WholeNumber(1, 2**48), default=1, show_default=True, help="How much to refund.")
@click.option("--at", "moment", type=Moment(), help="When the events arrived; it selects the window.  [default: the present]")
@click.option("--by", "who", required=True, metavar="NAME", help="Who refunds. It is logged.")
@click.option("--reason", "why", required=True, metavar="TEXT", help="Why. It is logged.")
def refund(
    settings_file: Path | None,
    rules: str | None,
    project: int,
    key: int | None,
    category: str,
    quantity: int,
    moment: float | None,
    who: str,
    why: str,
) -> None:
    """Refund charges to every quota of a project that counts the category. Workers notice within a second.

    \b
    Example:
      pipeline quotas refund --project 7 --quantity 500 --by anna --reason "load test"
    """
    from pipeline.model.category import DataCategory
    from pipeline.model.scope import Scope
    from pipeline.rules.folder import load_rules
    from pipeline.wiring.redis import connect_redis, redis_ledger

    settings = load_settings(settings_file, {("rules",): rules})
    named = DataCategory.from_label(category)
    if named is DataCategory.UNKNOWN:
        fail(f"there is no data category {category!r}")
    own = load_rules(find_rules(settings)).project(project)
    scope = Scope(own.project.organization, project, key)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ledger = redis_ledger(connect_redis(settings), settings)
    given, gone = ledger.refund(scope, named, quantity, clock(moment), own.quotas)
    if not given and not gone:
        fail(f"no quota of project {project} counts the category {category}")
    for name in given:
        log.info("refunded %d of %s to %s, by %s: %s", quantity, category, name, who, why)
    for name in gone:
        log.error("nothing was refunded to %s: its window ended long ago, and Redis no longer keeps its counter", name)
    if gone:
        sys.exit(1)
