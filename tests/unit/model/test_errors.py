from __future__ import annotations

from pipeline.model.errors import describe_failure
from pipeline.model.title import metadata


def test_a_failure_names_the_place_in_our_code() -> None:
    try:
        metadata(None)  # type: ignore[arg-type]
    except AttributeError as error:
        said = describe_failure(error)
    assert said.startswith("AttributeError: ")
    assert "(pipeline/model/title.py:" in said


def test_a_failure_elsewhere_is_named_alone() -> None:
    assert describe_failure(ZeroDivisionError("x")) == "ZeroDivisionError: x"
