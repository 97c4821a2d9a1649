from __future__ import annotations

import pytest

from pipeline.scrubbing.selectors import SelectorError, parse_selector


@pytest.mark.parametrize("text", ["a && b", "a || b && !c", "((a))", "$user.*", "extra.'it''s'", "~a", "a&&b", "x.0.y", "**.a"])
def test_selectors_that_parse(text: str) -> None:
    parse_selector(text)


@pytest.mark.parametrize(
    "text", ["*", "", " ", "a b", "a &&", "!!a", "(a", "a)", "$FRAME", "a.**.b.**", "a[0]", "é", "(" * 60 + "a" + ")" * 60]
)
def test_selectors_that_do_not(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_selector(text)
