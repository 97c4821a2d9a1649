"""Where Relay finds a sender's key, and what it answers without one (suites/ingest/auth.json)."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.suites import Cases, suite_cases

from pipeline.gateway.auth import find_credentials
from pipeline.http.answers import RefusedRequestError
from pipeline.model.envelope import Dsn


def by_title(file: Path) -> Cases:
    yield from ((case["title"], case) for case in json.loads(file.read_text()))


def encode(value: str) -> str:
    """Read the suite's `base64(...)`."""
    return re.sub(r"base64\((.*)\)", lambda match: base64.b64encode(match[1].encode()).decode(), value)


@pytest.mark.parametrize("case", suite_cases("ingest/auth.json", by_title))
def test_auth(case: dict[str, Any]) -> None:
    headers = {name.lower(): encode(value) for name, value in case["headers"].items()}
    dsn = Dsn.parse((case["envelope_header"] or {}).get("dsn"))
    sent = (headers, case["query"], case["path_key"], dsn and dsn.public_key)
    if case["status"] == 200:
        assert find_credentials(*sent).public_key == case["public_key"]
    else:
        with pytest.raises(RefusedRequestError) as refused:
            find_credentials(*sent)
        assert refused.value.status == case["status"]
