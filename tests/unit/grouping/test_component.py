from __future__ import annotations

from pipeline.grouping.component import Component


def test_contributes_when_a_value_does() -> None:
    assert not Component("a").contributes
    assert Component("a", [""]).contributes
    assert not Component("a", [Component("b")]).contributes
    assert Component("a", [Component("b"), Component("c", ["x"])]).contributes


def test_new_values_decide_anew_and_an_explicit_choice_wins() -> None:
    component = Component("a", ["x"])
    seen = []
    component.update(contributes=False, hint="no")
    seen.append(component.contributes)
    component.update(values=["y"])
    seen.append(component.contributes)
    component.update(values=["z"], contributes=False)
    seen.append(component.contributes)

    assert seen == [False, True, False]
    assert component.hint == "no"


def test_identity_sees_hints_and_what_does_not_contribute() -> None:
    base = Component("value", ["x"], contributes=False, hint="h")

    assert base.identity() == Component("value", ["x"], contributes=False, hint="h").identity()
    for other in (
        Component("value", ["x"], contributes=False),
        Component("value", ["y"], contributes=False, hint="h"),
        Component("value", ["x"], hint="h"),
        Component("type", ["x"], contributes=False, hint="h"),
        Component("value", ["x", ""], contributes=False, hint="h"),
    ):
        assert base.identity() != other.identity()


def test_describes_the_longest_contributing_path() -> None:
    frame = Component("frame", [Component("function", ["f"])])
    exception = Component("exception", [Component("stacktrace", [frame]), Component("type", ["T"])])

    assert Component("app", [exception]).describe() == "in-app exception stack-trace"
    assert Component("app", []).describe() == "in-app"
    assert Component("default", []).describe() == "others"


def test_finds_contributing_nodes_below_but_not_itself() -> None:
    stack = Component("stacktrace", ["x"])

    assert not stack.has_contributing("stacktrace")
    assert Component("exception", [stack]).has_contributing("stacktrace")
    stack.update(contributes=False)
    assert not Component("exception", [stack, "x"]).has_contributing("stacktrace")
