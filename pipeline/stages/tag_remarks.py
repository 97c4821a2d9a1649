"""What `_meta` and `errors` say of tags. It is told by a tag's place in the list, so it moves when tags do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def move_tag_remarks(event: dict[str, Any], places: Mapping[str, int]) -> None:
    """Follow tags that have moved. `places` is the new place of each tag that is left, by its old one as text.

    What `_meta` says of a tag that is gone goes with it. An entry of `errors` about it stays, under the name of the whole list.
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
