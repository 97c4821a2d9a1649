"""Moves the entries of `_meta` and `errors` about tags. They name a tag by its place in the list, so they move with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def move_tag_remarks(event: dict[str, Any], places: Mapping[str, int]) -> None:
    """Update the entries after tags have moved. `places` maps the old place of each remaining tag, as text, to its new one.

    Entries of `_meta` about removed tags are removed. Entries of `errors` about them stay, under the name of the whole list.
    """
    meta = event.get("_meta") or {}
    known = meta.get("tags")
    if isinstance(known, dict):
        moved = {str(places[key]) if key in places else key: child for key, child in known.items() if key == "" or key in places}
        if moved:
            meta["tags"] = moved
        else:
            del meta["tags"]
            if not meta:
                del event["_meta"]
    for error in event.get("errors") or ():
        name = error.get("name")
        if isinstance(name, str) and name.startswith("tags."):
            _, place, *rest = name.split(".")
            if place in places:
                error["name"] = ".".join(("tags", str(places[place]), *rest))
            elif place.isdecimal():
                error["name"] = "tags"
