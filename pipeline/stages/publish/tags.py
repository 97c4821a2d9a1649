"""Tags of the storage message, among them the columns that readers fill from tags alone."""

from __future__ import annotations

from typing import Any

from pipeline.model.event import user_tag
from pipeline.model.storage_message import PROMOTED_TAGS


def promoted_tags(event: dict[str, Any]) -> list[list[str]]:
    """Return the event's tags as pairs, with the promoted ones made from the event's own fields.

    Promoted tags replace tags of the same name. A tag whose name was refused is dropped: without a name it says nothing.
    """
    values = (
        event.get("level"),
        event.get("environment"),
        event.get("transaction"),
        event.get("release"),
        event.get("dist"),
        user_tag(event),
    )
    promoted = [[name, value] for name, value in zip(PROMOTED_TAGS, values, strict=True) if isinstance(value, str) and value]
    own = {name for name, _ in promoted}
    return [tag for tag in event.get("tags") or () if tag and tag[0] is not None and tag[0] not in own] + promoted
