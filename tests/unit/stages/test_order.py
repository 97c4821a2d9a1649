from __future__ import annotations

import importlib
import pkgutil
from operator import attrgetter

import pytest

import pipeline
import pipeline.stages
from pipeline.stages import CHECKED, ERRORS, EXPLAINED

MODULES = sorted(found.name for found in pkgutil.walk_packages(pipeline.stages.__path__, "pipeline.stages."))


@pytest.mark.parametrize("name", MODULES)
def test_no_name_hides_a_module(name: str) -> None:
    """`import pipeline.stages.normalize.event` and the attribute of that name are the same."""
    assert attrgetter(name.removeprefix("pipeline."))(pipeline) is importlib.import_module(name)


def test_the_order_of_the_business() -> None:
    assert [stage.name for stage in ERRORS.stages] == [
        "normalize",
        "filter",
        "admit",
        "scrub",
        "symbolicate",
        "enrich",
        "group",
        "count",
        "publish",
    ]
    assert [stage.name for stage in EXPLAINED.stages] == ["normalize", "scrub", "symbolicate", "enrich"]
    assert [stage.name for stage in CHECKED.stages] == ["normalize", "scrub"]
    assert {order.decode for order in (EXPLAINED, CHECKED)} == {ERRORS.decode}
