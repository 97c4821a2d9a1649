"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import pipeline.grouping
from pipeline.model import byte_bounded_lru, event

MODULES = [module.name for module in pkgutil.walk_packages(pipeline.grouping.__path__, "pipeline.grouping.")]


@pytest.mark.parametrize("name", [*MODULES, byte_bounded_lru.__name__, event.__name__])
def test_examples_are_right(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
