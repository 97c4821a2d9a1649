"""Tags: the columns that Snuba fills from tags and from nowhere else (spec/storage.md, section 2)."""

from __future__ import annotations

from typing import Any

from pipeline.model.user import user_tag

PROMOTED = ("level", "environment", "transaction", "sentry:release", "sentry:dist", "sentry:user")


def promoted_tags(event: dict[str, Any]) -> list[list[str]]:
    """Give the event's tags as pairs, with the promoted ones from the event's own fields; those replace tags of the same name."""
    values = (
        event.get("level"),
        event.get("environment"),
        event.get("transaction"),
        event.get("release"),
        event.get("dist"),
        user_tag(event),
    )
    promoted = [[name, value] for name, value in zip(PROMOTED, values, strict=True) if isinstance(value, str) and value]
    own = {name for name, _ in promoted}
    return [tag for tag in event.get("tags") or () if tag and tag[0] not in own] + promoted
