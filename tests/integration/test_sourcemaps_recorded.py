"""Recorded browser and node events, their builds uploaded by sentry-cli, against the same crashes in an unminified run."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.loading import load_settings
from pipeline.stages import EXPLAINED
from pipeline.stages.runner import run
from pipeline.wiring.contexts import explain_context

FIXTURES = Path(__file__).parents[1] / "fixtures"
RULES = Path(__file__).parents[2] / "rules"
NOW = 1_795_336_000.0


def truths() -> list[Any]:
    found = [
        pytest.param(sdk, event_id, truth["exceptions"], id=truth["file"].removesuffix(".envelope"))
        for sdk in ("browser", "node")
        for event_id, truth in json.loads((FIXTURES / "truth" / f"{sdk}.json").read_text()).items()
    ]
    assert found, "the fixtures hold no truth"
    return found


@cache
def recorded(sdk: str) -> dict[str, Any]:
    """Return the events of an SDK by id, after symbolication."""
    settings = load_settings(None, {("artifacts", "url"): str(FIXTURES / "artifacts")}, {})
    context = explain_context(settings, load_rules(RULES), now=NOW)
    records = list(Inputs((str(FIXTURES / "recorded" / sdk),), now=NOW, project_id=None, max_record_bytes=10_000_000))
    stages = EXPLAINED.only("normalize", "symbolicate")
    return {item.event_id: item.event for item in run(records, context, stages).events}


@pytest.mark.parametrize(("sdk", "event_id", "exceptions"), truths())
def test_each_frame_is_the_one_that_crashed(sdk: str, event_id: str, exceptions: list[dict[str, Any]]) -> None:
    event = recorded(sdk)[event_id]
    compared = 0
    for exception, truth in zip(event["exception"]["values"], exceptions, strict=True):
        frames = (exception.get("stacktrace") or {"frames": []})["frames"]
        assert len(frames) == len(truth["frames"])
        for frame, wanted in zip(frames, truth["frames"], strict=True):
            if wanted is None:  # the unminified run does not tell
                continue
            compared += 1
            assert frame["data"]["symbolicated"] is True
            assert frame["filename"].endswith(wanted["file"])
            assert frame["lineno"] == wanted["line"]
            if wanted["function"] is not None:  # an anonymous function is called what its caller calls it
                assert own_name(frame["function"]) == own_name(wanted["function"])
            assert "context_line" in frame
    assert compared or not any(truth["frames"] for truth in exceptions)


def own_name(function: str) -> str:
    """Cut off what V8 and scopes put before a function's own name: its receiver, its class, `get`."""
    return function.rpartition(".")[2].rpartition(" ")[2]
