from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.event import user_tag


@pytest.mark.parametrize(
    ("user", "tag"),
    [
        ({"id": "7", "username": "ada", "email": "a@b.c", "ip_address": "::1"}, "id:7"),
        ({"id": "", "username": "ada"}, "username:ada"),
        ({"id": None, "email": "a@b.c", "ip_address": "::1"}, "email:a@b.c"),
        ({"ip_address": "::1"}, "ip:::1"),
        ({"id": {"a": 1}, "email": "a@b.c"}, "email:a@b.c"),
        ({"data": {"plan": "free"}}, None),
        (None, None),
    ],
)
def test_a_user_is_told_by_the_first_thing_known(user: Any, tag: str | None) -> None:
    assert user_tag({"user": user}) == tag
