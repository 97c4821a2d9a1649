"""Endpoints about the user, organizations, projects and releases."""

from __future__ import annotations

from typing import Any

from pipeline.api.call import NOT_FOUND, ApiCall
from pipeline.api.formatting import organization_json, project_json, release_json
from pipeline.api.parameters import parse_page
from pipeline.api.types import iso
from pipeline.store.queries.answers import ReleaseSummary
from pipeline.store.queries.fields import FIELDS
from pipeline.store.queries.filters import Matches, TextPattern
from pipeline.store.queries.question import EventQuestion, SortBy
from pipeline.uploads.answers import ApiAnswer, ApiError

MAX_RELEASES = 1_000
_USER = {
    "id": "1",
    "name": "operator",
    "username": "operator",
    "email": "operator@localhost",
    "isActive": True,
    "isSuperuser": False,
    "isStaff": False,
    "avatar": {"avatarType": "letter_avatar"},
    "identities": [],
    "emails": [],
    "options": {},
}
"""The user that every client gets: there are no accounts."""


def show_user(_call: ApiCall) -> ApiAnswer:
    """Answer with the one user that there is."""
    return ApiAnswer(200, _USER)


def list_regions(call: ApiCall) -> ApiAnswer:
    """Answer with the one region that there is: this service."""
    return ApiAnswer(200, {"regions": [{"name": "self", "url": call.url}]})


def list_organizations(call: ApiCall) -> ApiAnswer:
    """Answer with all organizations, or with those whose slug contains `query`."""
    word = call.query.one("query").lower()
    found = [one for one in call.service.directory.organizations() if word in one.slug.lower()]
    page = parse_page(call.query)
    body = [organization_json(one, call.url) for one in found[page.offset : page.offset + page.limit]]
    return call.page(body, page, has_more=len(found) > page.offset + page.limit)


def show_organization(call: ApiCall) -> ApiAnswer:
    """Answer with one organization."""
    return ApiAnswer(200, organization_json(call.known_organization, call.url))


def list_projects(call: ApiCall) -> ApiAnswer:
    """Answer with the projects of an organization, or with all projects. With `query`, only those whose slug contains it."""
    word = call.query.one("query").lower()
    found = [one for one in call.service.directory.projects(call.organization) if word in one.slug.lower()]
    page = parse_page(call.query)
    body = [project_json(one, call.url) for one in found[page.offset : page.offset + page.limit]]
    return call.page(body, page, has_more=len(found) > page.offset + page.limit)


def show_project(call: ApiCall) -> ApiAnswer:
    """Answer with one project."""
    if call.project is None:
        raise ApiError(404, NOT_FOUND)
    return ApiAnswer(200, project_json(call.project, call.url))


def list_keys(call: ApiCall) -> ApiAnswer:
    """Answer with the keys of a project, as DSNs."""
    if call.project is None:
        raise ApiError(404, NOT_FOUND)
    scheme, _, host = call.url.partition("://")
    keys = call.service.rules().project(call.project.id).project.keys
    return ApiAnswer(
        200,
        [
            {
                "id": key.public_key,
                "name": f"key {key.id}",
                "label": f"key {key.id}",
                "public": key.public_key,
                "projectId": call.project.id,
                "isActive": key.is_active,
                "dsn": {"public": f"{scheme}://{key.public_key}@{host}/{call.project.id}"},
                "dateCreated": "2020-01-01T00:00:00Z",
            }
            for key in keys
        ],
    )


def list_environments(call: ApiCall) -> ApiAnswer:
    """Answer with the environments that events name."""
    question = EventQuestion(call.asked().extent, (FIELDS["environment"],), order=(SortBy("count"),))
    names = [row["key0"] for row in call.queries.table(question)]
    return ApiAnswer(200, [{"id": name, "name": name, "isHidden": False} for name in names if name])


def list_releases(call: ApiCall) -> ApiAnswer:
    """Answer with the releases that events name, the one that was seen last first. With `query`, only those that contain it."""
    asked, page = call.asked_without_search(), parse_page(call.query)
    word = call.query.one("query")
    filters = (Matches(FIELDS["release"], (TextPattern(("", word, "")),)),) if word else ()
    found = _versions(call, call.queries.releases(asked.extent, (*asked.filters, *filters), MAX_RELEASES))
    return call.page(found[page.offset : page.offset + page.limit], page, has_more=len(found) > page.offset + page.limit)


def show_release(call: ApiCall) -> ApiAnswer:
    """Answer with one release that events name."""
    asked = call.asked_without_search()
    filters = (Matches(FIELDS["release"], (call.path["version"],)),)
    found = _versions(call, call.queries.releases(asked.extent, filters))
    if not found:
        raise ApiError(404, NOT_FOUND)
    return ApiAnswer(200, found[0])


def list_nothing(call: ApiCall) -> ApiAnswer:
    """Answer with an empty list: for what is not kept here, such as teams and members."""
    return call.page([], parse_page(call.query), has_more=False)


def _versions(call: ApiCall, releases: list[ReleaseSummary]) -> list[dict[str, Any]]:
    """Return releases, each with all its projects."""
    found: dict[str, dict[str, Any]] = {}
    for one in releases:
        slug = call.service.directory.entry(one.project_id).slug
        first, last = iso(one.first_seen), iso(one.last_seen)
        release = found.setdefault(
            one.version,
            release_json(one.version)
            | {
                "id": one.version,
                "dateCreated": first,
                "dateReleased": None,
                "firstEvent": first,
                "lastEvent": last,
                "newGroups": 0,
                "ref": None,
                "url": None,
                "status": "open",
                "authors": [],
                "commitCount": 0,
                "deployCount": 0,
                "eventCount": 0,
                "projects": [],
            },
        )
        release["eventCount"] += one.count
        release["newGroups"] += one.groups
        release["firstEvent"] = release["dateCreated"] = min(release["firstEvent"], first)
        release["lastEvent"] = max(release["lastEvent"], last)
        release["projects"].append({"id": one.project_id, "slug": slug, "name": slug, "newGroups": one.groups})
    return list(found.values())
