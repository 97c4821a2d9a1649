"""Derived tags: tags that follow from other fields of the event. Rules and searches use them like the sender's own.

They are the same as in Sentry, which derives them from interfaces and contexts before grouping rules look at an event.
See docs/spec/storage-messages.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from pipeline.model.event import Event, RequestData, as_json, exceptions, user_tag
from pipeline.model.storage_message import PROMOTED_TAGS
from pipeline.model.title import cut
from pipeline.stages.tag_remarks import move_tag_remarks

MAX_VALUE_CHARS = 200
"""Limit of a derived tag's value. It is that of a sender's tags."""

_CONTEXT_TAGS: dict[str, tuple[tuple[str, str], ...]] = {
    "app": ((".device", "device_app_hash"),),
    "browser": (("", "browser"), (".name", "name")),
    "device": (("", "model"), (".family", "family")),
    "gpu": ((".name", "name"), (".vendor", "vendor_name")),
    "os": (("", "os"), (".name", "name"), (".rooted", "rooted")),
    "runtime": (("", "runtime"), (".name", "name")),
}
"""The tags of a context, by its type: a suffix for the context's own name, and the field with the value."""


def set_derived_tags(event: Event) -> None:
    """Set `tags` to the sender's tags, the derived ones and those that become columns.

    A tag that the sender set under the name of a derived one is replaced, except `url`: a sender's `url` stays. A tag whose name
    was refused is dropped, because nobody can search for it, and the event's `errors` keep it. Setting them twice gives the same
    result.
    """
    listed = event.get("tags") or ()
    derived = {name: cut(value, MAX_VALUE_CHARS) for name, value in _derived(event)}
    if any(tag and tag[0] == "url" for tag in listed):
        derived.pop("url", None)
    promoted = dict(_promoted(event))
    own = derived.keys() | promoted.keys()
    kept = [(place, tag) for place, tag in enumerate(listed) if tag and tag[0] is not None and tag[0] not in own]
    if "tags" in (event.get("_meta") or ()):
        _keep_nameless(event, listed)
        move_tag_remarks(as_json(event), {str(old): new for new, (old, _) in enumerate(kept)})
    event["tags"] = [
        *(tag for _, tag in kept),
        *([name, value] for name, value in derived.items() if name not in promoted),
        *([name, value] for name, value in promoted.items()),
    ]


def drop_derived_tags(event: Event) -> None:
    """Drop the tags that `set_derived_tags` has set, so that they are derived anew. What is said of others moves with them."""
    listed = event.get("tags") or ()
    own = dict(_derived(event)) | dict(_promoted(event))
    url = own.pop("url", None)
    url = url and cut(url, MAX_VALUE_CHARS)
    kept = [(place, tag) for place, tag in enumerate(listed) if tag and tag[0] not in own and (tag[0] != "url" or tag[1] != url)]
    move_tag_remarks(as_json(event), {str(old): new for new, (old, _) in enumerate(kept)})
    event["tags"] = [tag for _, tag in kept]


def _keep_nameless(event: Event, listed: Sequence[Any]) -> None:
    """Put the values of tags whose names were refused into the errors about these names."""
    for error in event.get("errors") or ():
        name, sent = error.get("name"), error.get("value")
        if isinstance(name, str) and isinstance(sent, str) and name.startswith("tags.") and name.endswith(".0"):
            place = name[5:-2]
            tag = listed[int(place)] if place.isdecimal() and int(place) < len(listed) else None
            if tag and tag[0] is None and tag[1] is not None:
                error["value"] = {sent: tag[1]}


def _promoted(event: Event) -> Iterator[tuple[str, str]]:
    """Yield the tags that readers turn into columns, from the event's own fields."""
    fields = (event.get("level"), event.get("environment"), event.get("transaction"), event.get("release"), event.get("dist"))
    for name, value in zip(PROMOTED_TAGS, (*fields, user_tag(event)), strict=True):
        if value:
            yield name, value


def _derived(event: Event) -> Iterator[tuple[str, str]]:
    if logger := event.get("logger"):
        yield "logger", logger
    if url := _full_url(event.get("request") or {}):
        yield "url", url
    for alias, context in (event.get("contexts") or {}).items():
        if context:
            for suffix, field in _CONTEXT_TAGS.get(context.get("type") or alias, ()):
                value = context.get(field)
                if isinstance(value, bool):
                    value = "yes" if value else "no"
                if value and isinstance(value, str):
                    yield alias + suffix, value
    found = exceptions(event)
    mechanism = found[0].get("mechanism") if found else None
    if mechanism:
        if kind := mechanism.get("type"):
            yield "mechanism", kind
        if (handled := mechanism.get("handled")) is not None:
            yield "handled", "yes" if handled else "no"


def _full_url(request: RequestData) -> str | None:
    """Return the URL of a request with its query and fragment. Scrubbing has already been applied to them."""
    url = request.get("url")
    if not url:
        return None
    query = [(pair[0], pair[1] or "") for pair in request.get("query_string") or () if pair and pair[0]]
    fragment = request.get("fragment")
    return url + (f"?{urlencode(query)}" if query else "") + (f"#{fragment}" if fragment else "")
