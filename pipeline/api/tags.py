"""Endpoints about tags: which there are, and which values they have."""

from __future__ import annotations

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.formatting import tag_json, tag_key
from pipeline.api.parameters import parse_page
from pipeline.store.queries.filters import InGroups
from pipeline.store.queries.queries import forever
from pipeline.store.queries.question import FacetQuestion
from pipeline.uploads.answers import ApiAnswer, ApiError

DAY_S = 86_400


def list_tags(call: ApiCall) -> ApiAnswer:
    """Answer with all tags of the asked events and their commonest values."""
    asked = call.asked(step_s=DAY_S)
    return ApiAnswer(200, [tag_json(one) for one in call.queries.facets(FacetQuestion(asked.extent, asked.filters))])


def list_tag_values(call: ApiCall) -> ApiAnswer:
    """Answer with the values of one tag that contain `query`: the newest first, or the commonest with `sort=-count`."""
    asked = call.asked_without_search(step_s=DAY_S)
    page = parse_page(call.query)
    question = FacetQuestion(
        asked.extent,
        asked.filters,
        tag_key(call.path["tag"]),
        limit=page.limit + 1,
        offset=page.offset,
        containing=call.query.one("query"),
        is_newest_first=call.query.one("sort") != "-count",
    )
    values = tag_json(call.queries.tag(question)).top_values
    return call.page(values[: page.limit], page, has_more=len(values) > page.limit)


def list_issue_tags(call: ApiCall) -> ApiAnswer:
    """Answer with all tags of a group and their commonest values."""
    group, _ = call.group()
    question = FacetQuestion(forever((group.project_id,), call.now), (InGroups((group.group_id,)),))
    keys = {tag_key(name) for name in call.query.all("key")}
    return ApiAnswer(200, [tag_json(one) for one in call.queries.facets(question) if not keys or one.key in keys])


def show_issue_tag(call: ApiCall) -> ApiAnswer:
    """Answer with one tag of a group."""
    group, _ = call.group()
    extent = forever((group.project_id,), call.now)
    found = call.queries.tag(FacetQuestion(extent, (InGroups((group.group_id,)),), tag_key(call.path["tag"]), limit=10))
    if not found.count:
        raise ApiError(404, NOT_FOUND)
    return ApiAnswer(200, tag_json(found))


def list_issue_tag_values(call: ApiCall) -> ApiAnswer:
    """Answer with the values of one tag of a group, the commonest first."""
    group, _ = call.group()
    page = parse_page(call.query)
    extent = forever((group.project_id,), call.now)
    question = FacetQuestion(
        extent, (InGroups((group.group_id,)),), tag_key(call.path["tag"]), limit=page.limit + 1, offset=page.offset
    )
    values = tag_json(call.queries.tag(question)).top_values
    return call.page(values[: page.limit], page, has_more=len(values) > page.limit)
