"""Endpoints about outcomes: how much was accepted, filtered, rate limited or invalid, and which quotas hold."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.parameters import Period, interval_for, parse_interval, parse_period
from pipeline.api.shown_text import shown
from pipeline.api.types import iso
from pipeline.model.category import DataCategory
from pipeline.model.outcome import Fate
from pipeline.quotas.model import Quota
from pipeline.store.queries.answers import OutcomeTotal
from pipeline.store.queries.question import OutcomeField, OutcomeQuestion
from pipeline.uploads.answers import ApiAnswer, ApiError

_GROUP_BY = {
    "outcome": OutcomeField.OUTCOME,
    "reason": OutcomeField.REASON,
    "category": OutcomeField.CATEGORY,
    "project": OutcomeField.PROJECT,
    "key": OutcomeField.KEY,
}
_FATES: dict[int | str, str] = {int(fate): fate.label for fate in Fate}
_CATEGORIES = {int(category): category.label for category in DataCategory}
_SUMS = {"sum(quantity)": "quantity", "sum(times_seen)": "number"}


def stats_v2(call: ApiCall) -> ApiAnswer:
    """Answer with quantities of outcomes over time, grouped by outcome, reason, category, project or key."""
    sums = call.query.all("field") or ["sum(quantity)"]
    for name in sums:
        if name not in _SUMS:
            raise ApiError(400, f"field: {name[:50]!r} is not one of {', '.join(_SUMS)}")
    names = call.query.all("groupBy")
    period = parse_period(call.query, call.now, "24h")
    seconds = parse_interval(call.query.one("interval")) if call.query.one("interval") else interval_for(period)
    if (period.end - period.start).total_seconds() / seconds > 10_000:
        raise ApiError(400, "interval: the period has too many intervals")
    found = call.queries.outcomes(_question(call, period, names, seconds))
    first = int(period.start.timestamp()) // seconds * seconds
    starts = list(range(first, int(period.end.timestamp()), seconds))
    groups: dict[tuple[int | str, ...], dict[int, OutcomeTotal]] = defaultdict(dict)
    for total in found:
        groups[total.keys][total.start or 0] = total
    intervals = [iso(period.start + timedelta(seconds=start - int(period.start.timestamp()))) for start in starts]
    body = {
        "start": iso(period.start),
        "end": iso(period.end),
        "intervals": intervals,
        "groups": [
            {
                "by": dict(zip(names, map(_word, names, keys), strict=True)),
                "totals": {name: sum(getattr(one, _SUMS[name]) for one in series.values()) for name in sums},
                "series": {
                    name: [getattr(series[start], _SUMS[name]) if start in series else 0 for start in starts] for name in sums
                },
            }
            for keys, series in sorted(groups.items())
        ],
    }
    return ApiAnswer(200, body)


def list_outcomes(call: ApiCall) -> ApiAnswer:
    """Answer with what became of everything that came in, by outcome, reason and category."""
    period = parse_period(call.query, call.now, "24h")
    names = ["outcome", "reason", "category", "project"]
    rows = [
        dict(zip(names, map(_word, names, total.keys), strict=True)) | {"quantity": total.quantity, "number": total.number}
        for total in call.queries.outcomes(_question(call, period, names, None))
    ]
    return ApiAnswer(200, {"start": iso(period.start), "end": iso(period.end), "outcomes": rows})


def list_limits(call: ApiCall) -> ApiAnswer:
    """Answer with the quotas that hold for a project, and how much each has refused in the asked period, by default a day."""
    if call.project is None:
        raise ApiError(404, NOT_FOUND)
    period = parse_period(call.query, call.now, "24h")
    question = OutcomeQuestion(
        call.known_organization.id,
        *period,
        (call.project.id,),
        (OutcomeField.REASON, OutcomeField.CATEGORY),
        outcomes=(int(Fate.RATE_LIMITED),),
    )
    refused = [
        {"reason": shown(str(total.keys[0])), "category": _category(int(total.keys[1])), "quantity": total.quantity}
        for total in call.queries.outcomes(question)
    ]
    quotas = [_quota(quota) for quota in call.service.rules().project(call.project.id).quotas]
    return ApiAnswer(200, {"start": iso(period.start), "end": iso(period.end), "quotas": quotas, "refused": refused})


def _question(call: ApiCall, period: Period, names: list[str], seconds: int | None) -> OutcomeQuestion:
    for name in names:
        if name not in _GROUP_BY:
            raise ApiError(400, f"groupBy: {name[:50]!r} is not one of {', '.join(_GROUP_BY)}")
    directory, organization = call.service.directory, call.known_organization
    chosen = [name for name in call.query.all("project") if name != "-1"]
    projects = (call.project,) if call.project is not None else directory.chosen(organization, chosen) if chosen else ()
    return OutcomeQuestion(
        organization.id,
        *period,
        tuple(project.id for project in projects),
        tuple(_GROUP_BY[name] for name in names),
        seconds,
        tuple(_number(DataCategory, name, "category") for name in call.query.all("category")),
        tuple(_number(Fate, name, "outcome") for name in call.query.all("outcome")),
        tuple(call.query.all("reason")),
    )


def _number(kind: type[DataCategory | Fate], text: str, name: str) -> int:
    """Return the number of a word such as `error` or `filtered`. Raises ApiError (400)."""
    for one in kind:
        if text in {one.label, one.name.lower(), str(int(one))}:
            return int(one)
    raise ApiError(400, f"{name}: {text[:50]!r} is not known")


def _word(name: str, value: int | str) -> Any:
    if name == "outcome":
        return _FATES.get(value, str(value))
    if name == "category":
        return _category(int(value))
    return value if name in {"project", "key"} else shown(str(value)) or "none"


def _category(number: int) -> str:
    return _CATEGORIES.get(number, str(number))


def _quota(quota: Quota) -> dict[str, Any]:
    return {
        "id": quota.id,
        "scope": quota.scope.value,
        "scopeId": quota.scope_id,
        "categories": sorted(category.label for category in quota.categories),
        "limit": quota.limit,
        "windowS": quota.window_s,
        "reasonCode": quota.reason_code,
    }
