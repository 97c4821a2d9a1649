"""Every endpoint under `/api/0/`: what gateway, api and serve answer. sentry-cli's uploads are answered by `pipeline/uploads`.

In a pattern, {name} is a part of the path. An issue is named by its number or its short id.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from urllib.parse import unquote

from pipeline import __version__
from pipeline.api import events, explaining, issues, openapi, organizations, outcomes, tags
from pipeline.api.call import NOT_FOUND, ApiCall, Service
from pipeline.clickhouse.errors import AwayError, RefusedError, TooExpensiveError
from pipeline.store.queries.queries import TooManyBucketsError
from pipeline.uploads.answers import ApiAnswer, ApiError, ApiRequest
from pipeline.uploads.api import UploadApi

log = logging.getLogger(__name__)

Endpoint = Callable[[ApiCall], ApiAnswer]


def show_info(call: ApiCall) -> ApiAnswer:
    """Answer with the version, and with what the client may do."""
    scopes = ["org:read", "project:read", "project:releases", "event:read", "event:write", "org:ci"]
    return ApiAnswer(200, {"version": __version__, "auth": {"scopes": scopes}, "user": organizations.show_user(call).body})


_O, _P = "organizations/{organization}", "projects/{organization}/{project}"

ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "", show_info),
    ("GET", "openapi.json", openapi.show),
    ("GET", "auth", organizations.show_user),
    ("GET", "users/me", organizations.show_user),
    ("GET", "users/me/regions", organizations.list_regions),
    ("GET", "organizations", organizations.list_organizations),
    ("GET", "projects", organizations.list_projects),
    ("GET", _O, organizations.show_organization),
    ("GET", f"{_O}/projects", organizations.list_projects),
    ("GET", f"{_O}/teams", organizations.list_nothing),
    ("GET", f"{_O}/members", organizations.list_nothing),
    ("GET", f"{_O}/users", organizations.list_nothing),
    ("GET", f"{_O}/environments", organizations.list_environments),
    ("GET", _P, organizations.show_project),
    ("GET", f"{_P}/keys", organizations.list_keys),
    ("GET", f"{_P}/teams", organizations.list_nothing),
    ("GET", f"{_P}/environments", organizations.list_environments),
    # groups
    ("GET", f"{_O}/issues", issues.list_issues),
    ("GET", f"{_P}/issues", issues.list_issues),
    ("PUT", f"{_O}/issues", issues.change_issues),
    ("PUT", f"{_P}/issues", issues.change_issues),
    ("GET", f"{_O}/shortids/{{issue}}", issues.find_short_id),
    *(
        (method, f"{owner}issues/{{issue}}{rest}", endpoint)
        for owner in ("", f"{_O}/", f"{_P}/")
        for method, rest, endpoint in (
            ("GET", "", issues.show_issue),
            ("PUT", "", issues.change_issue),
            ("GET", "/events", events.list_issue_events),
            ("GET", "/events/{event}", events.show_issue_event),
            ("GET", "/tags", tags.list_issue_tags),
            ("GET", "/tags/{tag}", tags.show_issue_tag),
            ("GET", "/tags/{tag}/values", tags.list_issue_tag_values),
            ("GET", "/why", explaining.why),
        )
    ),
    # events
    ("GET", f"{_P}/events", events.list_project_events),
    ("GET", f"{_P}/events/{{event}}", events.show_event),
    ("GET", f"{_O}/events/{{project}}:{{event}}", events.show_event),
    ("GET", f"{_O}/events/{{event}}/why", explaining.why_event),
    ("GET", f"{_P}/events/{{event}}/why", explaining.why_event),
    ("GET", f"{_O}/eventids/{{event}}", events.find_event_id),
    ("GET", f"{_O}/events", events.table),
    ("GET", f"{_O}/events-stats", events.series),
    ("GET", f"{_O}/tags", tags.list_tags),
    ("GET", f"{_P}/tags", tags.list_tags),
    ("GET", f"{_O}/tags/{{tag}}/values", tags.list_tag_values),
    ("GET", f"{_P}/tags/{{tag}}/values", tags.list_tag_values),
    ("GET", f"{_O}/releases", organizations.list_releases),
    ("GET", f"{_P}/releases", organizations.list_releases),
    ("GET", f"{_O}/releases/{{version}}", organizations.show_release),
    ("GET", f"{_P}/releases/{{version}}", organizations.show_release),
    # outcomes and rules
    ("GET", f"{_O}/stats_v2", outcomes.stats_v2),
    ("GET", f"{_O}/outcomes", outcomes.list_outcomes),
    ("GET", f"{_P}/outcomes", outcomes.list_outcomes),
    ("GET", f"{_P}/limits", outcomes.list_limits),
    ("POST", f"{_P}/rules/preview", explaining.preview),
)
"""Method, pattern and function of each endpoint that reads the store."""


class Api:
    """Answers every request under `/api/0/`. Either part may be absent: the store, or the artifact store. Blocks."""

    def __init__(self, service: Service | None, uploads: UploadApi | None) -> None:
        self._service = service
        self._uploads = uploads
        self._routes = [(method, _compiled(pattern), endpoint) for method, pattern, endpoint in ROUTES]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to answer with."""
        return self._service is None and self._uploads is None

    def answer(self, request: ApiRequest) -> ApiAnswer:
        """Answer any request under `/api/0/`."""
        own = self._own_answer(request) if self._service is not None else ApiAnswer(404, {"detail": NOT_FOUND})
        if self._uploads is None or own.status not in {404, 405}:
            return self._with_registered(request, own)
        uploaded = self._uploads.answer(request)
        return own if uploaded.status == 404 and self._service is not None else uploaded

    def _own_answer(self, request: ApiRequest) -> ApiAnswer:
        """Answer from the store; 404 for a path that is not an endpoint, 405 for another method."""
        assert self._service is not None  # noqa: S101 -- answer() has looked
        is_known = False
        for method, pattern, endpoint in self._routes:
            match = pattern.fullmatch(request.path)
            if match is None:
                continue
            is_known = True
            if method == request.method:
                return self._call(endpoint, self._service, request, match)
        return ApiError(405, "method not allowed").answer() if is_known else ApiError(404, NOT_FOUND).answer()

    def _call(self, endpoint: Endpoint, service: Service, request: ApiRequest, match: re.Match[str]) -> ApiAnswer:
        path = {name: unquote(value, errors="replace") for name, value in match.groupdict().items()}
        try:
            return endpoint(ApiCall(service, request, path))
        except ApiError as error:
            return error.answer()
        except TooManyBucketsError:
            return ApiAnswer(400, {"detail": "interval: the period has too many intervals"})
        except TooExpensiveError:
            return ApiAnswer(400, {"detail": "the query costs too much; ask about less time, or fewer projects"})
        except AwayError as error:
            log.warning("the store does not answer: %s", error)
            return ApiAnswer(503, {"detail": "the store does not answer at the moment"}, (("retry-after", "5"),))
        except RefusedError:
            log.exception("a query was refused")
            return ApiAnswer(500, {"detail": "internal error"})

    def _with_registered(self, request: ApiRequest, own: ApiAnswer) -> ApiAnswer:
        """Add the releases that clients have registered to those that events name."""
        if (
            self._uploads is None
            or own.status != 200
            or request.method != "GET"
            or not request.path.rstrip("/").endswith("/releases")
        ):
            return own
        registered = self._uploads.answer(request)
        if registered.status != 200 or "cursor=" in request.query:
            return own
        known = {one["version"] for one in own.body}
        return own._replace(body=[*own.body, *(one for one in registered.body if one["version"] not in known)])


def _compiled(pattern: str) -> re.Pattern[str]:
    named = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)" if ":" in pattern else r"(?P<\1>[^/]+)", pattern)
    return re.compile(f"/api/0/{named.replace('.json', '[.]json')}/?")
