from __future__ import annotations

from pipeline.stages import CHECKED, ERRORS, EXPLAINED


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
