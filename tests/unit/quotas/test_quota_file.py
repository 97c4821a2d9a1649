from __future__ import annotations

import pytest

from pipeline.model.category import DataCategory
from pipeline.model.errors import InvalidRulesError
from pipeline.model.rule_file import RuleFile
from pipeline.quotas.model import Bucket, Quota, QuotaScope, Spike
from pipeline.quotas.quota_file import MAX_QUOTAS, load_quotas


def layer(text: str, path: str = "rules/default/quotas.toml") -> dict[str, RuleFile]:
    return {"quotas.toml": RuleFile(path, text)}


def test_missing_and_empty_files_configure_nothing() -> None:
    assert load_quotas([{}, layer("")]) == ()


def test_every_kind() -> None:
    quotas = load_quotas(
        [
            layer(
                """
[[quota]]
limit = 0
scope_id = 42
scope = "project"
reason_code = "closed"

[[quota]]
id = "smooth"
scope = "key"
categories = ["error"]
burst = 20
refill_per_s = 2

[[quota]]
id = "spike"
scope = "project"
window_s = 3600
spike = { factor = 5.0, windows = 24, minimum = 100 }
reserve = 7

[[quota]]
id = "org"
limit = 100
window_s = 60
fair_share = 0.5

[[quota]]
id = "group"
scope = "group"
limit = 10
window_s = 60
sample_rate = 0.1
"""
            )
        ]
    )
    assert quotas == (
        Quota(None, QuotaScope.PROJECT, "42", limit=0, reason_code="closed"),
        Quota("smooth", QuotaScope.KEY, categories=frozenset({DataCategory.ERROR}), bucket=Bucket(20, 2.0)),
        Quota("spike", QuotaScope.PROJECT, window_s=3600, spike=Spike(5.0, 24, 100), reserve=7),
        Quota("org", QuotaScope.ORGANIZATION, limit=100, window_s=60, fair_share=0.5),
        Quota("group", QuotaScope.GROUP, limit=10, window_s=60, sample_rate=0.1),
    )


def test_a_project_extends_and_overrides_by_id() -> None:
    quotas = load_quotas(
        [
            layer('[[quota]]\nid = "a"\nlimit = 1\nwindow_s = 60\n[[quota]]\nid = "b"\nlimit = 2\nwindow_s = 60\n'),
            layer('[[quota]]\nid = "a"\nlimit = 9\nwindow_s = 60\n[[quota]]\nid = "c"\nlimit = 3\nwindow_s = 60\n'),
        ]
    )
    assert [(quota.id, quota.limit) for quota in quotas] == [("a", 9), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[[quota]]\nid = "a"\nscope = "galaxy"\n', 3, "galaxy"),
        ('[[quota]]\nid = "a"\nlimit = 5\n', 1, "window_s"),
        ("[[quota]]\nlimit = 5\nwindow_s = 60\n", 1, "`id`"),
        ('[[quota]]\nid = "a{1}"\nlimit = 5\nwindow_s = 60\n', 2, "a-z"),
        ('[[quota]]\nid = "a:b"\nlimit = 5\nwindow_s = 60\n', 2, "a-z"),
        (
            '[[quota]]\nid = "a"\nwindow_s = 60\n\n[[quota]]\nid = "b"\ncategories = ["error", "attachment"]\nwindow_s = 60\n',
            7,
            "bytes",
        ),
        ('[[quota]]\nid = "a"\nwindow_s = 60\ncategories = ["errror"]\n', 4, "errror"),
        ('[[quota]]\nid = "a"\nwindow_s = 0\n', 3, ">= 1"),
        ('[[quota]]\nid = "a"\nwindow_s = 60\nlimit = -1\n', 4, ">= 0"),
        ('[[quota]]\nid = "a"\nwindow_s = 60\nlimits = 1\n', 4, "limits"),
        ('[[quota]]\nid = "a"\nwindow_s = 60\n[[quota]]\nid = "a"\nwindow_s = 60\n', 5, "second"),
        ('[[quota]]\nid = "a"\nburst = 5\n', 3, "refill_per_s"),
        ('[[quota]]\nid = "a"\nburst = 5\nrefill_per_s = 1\nwindow_s = 60\n', 3, "replaces"),
        ('[[quota]]\nid = "a"\nwindow_s = 60\nfair_share = 0.5\n', 4, "limit"),
        ('[[quota]]\nid = "a"\nwindow_s = 60\nlimit = 5\nsample_rate = 0.5\n', 5, "group"),
        ('[[quota]]\nid = "a"\nburst = 5\nrefill_per_s = 1\nreserve = 5\n', 5, "window"),
        ('[[quota]]\nid = "a"\nscope = "project"\nscope_id = "x"\nwindow_s = 60\n', 4, "0-9"),
        ('[[quota]]\nid = "a\n', 2, ""),
        ("quota = 7\n", 1, "array"),
    ],
)
def test_mistakes_are_named_by_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidRulesError) as error:
        load_quotas([layer(text)])
    [mistake] = error.value.errors
    assert mistake.file == "rules/default/quotas.toml"
    assert mistake.line == line
    assert message in mistake.message


def test_every_mistake_is_told() -> None:
    with pytest.raises(InvalidRulesError) as error:
        load_quotas([layer("[[quota]]\nlimit = 5\n[[quota]]\nlimit = 6\n")])
    assert [mistake.line for mistake in error.value.errors] == [1, 1, 3, 3]


@pytest.mark.parametrize(
    "text",
    [
        "".join(f'[[quota]]\nid = "{at}"\nwindow_s = 60\n' for at in range(MAX_QUOTAS + 1)),
        "[[quota]]\n" * 1_000_000,
        "#" * 10_000_000,
    ],
    ids=["one-too-many", "a-million", "huge"],
)
def test_too_many_are_refused_before_they_cost(text: str) -> None:
    with pytest.raises(InvalidRulesError, match="more than"):
        load_quotas([layer(text)])


def test_a_limit_beyond_64_bits_is_read() -> None:
    [quota] = load_quotas([layer(f'[[quota]]\nid = "a"\nwindow_s = 60\nlimit = {2**63}\n')])
    assert quota.limit == 2**63
