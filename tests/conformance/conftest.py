from __future__ import annotations

import pytest
from support.suites import NO_SUITES, ROOT


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Report once that the cases of other systems are not there, instead of once for each test that reads some."""
    without = [item for item in items if NO_SUITES in item.name]
    if not without:
        return
    first, *others = without
    first.own_markers = [marker for marker in first.own_markers if marker.name != "skip"]
    first.add_marker(
        pytest.mark.skip(
            reason=f"{len(without)} tests of other systems' cases are left out: there is no folder {ROOT}; "
            "PIPELINE_SUITES names another"
        )
    )
    config.hook.pytest_deselected(items=others)
    gone = set(map(id, others))
    items[:] = [item for item in items if id(item) not in gone]
