"""`pipeline quotas`: what each quota has used, and giving back."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from pipeline.cli.options import Moment, clock, fail, find_rules, settings_options, stdout
from pipeline.settings.loading import load_settings

log = logging.getLogger(__name__)


@click.group()
def quotas() -> None:
    """Show what each quota has used, and give back."""


@quotas.command()
@settings_options
@click.option("--project", type=click.IntRange(min=1), metavar="ID", help="Only what concerns this project.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(settings_file: Path | None, rules: str | None, artifacts: str | None, project: int | None, *, as_json: bool) -> None:
    """Print each quota's use now, when it resets, and what it dropped today; over 80 % is marked."""
    from rich.table import Table

    from pipeline.quotas.redis_usage import read_usage
    from pipeline.rules.folder import load_rules
    from pipeline.wiring.redis import connect_redis

    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
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


@quotas.command()
@settings_options
@click.option("--project", type=click.IntRange(min=1), required=True, metavar="ID", help="Whose events are given back.")
@click.option("--key", type=click.IntRange(min=1), metavar="ID", help="The number of the key that they came by.")
@click.option("--category", default="error", show_default=True, help="Only quotas that name it are given back to.")
@click.option("--quantity", type=click.IntRange(1, 2**48), default=1, show_default=True, help="How many.")
@click.option("--at", "moment", type=Moment(), help="When they arrived: it decides the window.  [default: now]")
@click.option("--by", "who", required=True, help="Who gives back, for the log.")
@click.option("--reason", "why", required=True, help="Why, for the log.")
def refund(
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    project: int,
    key: int | None,
    category: str,
    quantity: int,
    moment: float | None,
    who: str,
    why: str,
) -> None:
    """Give charges back to every quota of a project that names the category. Workers see it within a second."""
    from pipeline.model.category import DataCategory
    from pipeline.model.scope import Scope
    from pipeline.rules.folder import load_rules
    from pipeline.wiring.redis import connect_redis, redis_ledger

    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
    named = DataCategory.from_label(category)
    if named is DataCategory.UNKNOWN:
        fail(f"unknown category {category!r}")
    own = load_rules(find_rules(settings)).project(project)
    scope = Scope(own.project.organization, project, key)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ledger = redis_ledger(connect_redis(settings), settings)
    names = ledger.refund(scope, named, quantity, clock(moment), own.quotas)
    if not names:
        fail(f"no quota of project {project} names the category {category}")
    for name in names:
        log.info("refunded %d of %s to %s, by %s: %s", quantity, category, name, who, why)
