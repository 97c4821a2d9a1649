"""Strategy for stack traces: all frames (`system`), and the frames of the user's own code (`app`).

See docs/spec/grouping.md, "Stack traces".
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.grouping.component import Component
from pipeline.grouping.configurations import Configuration
from pipeline.grouping.grouping_frame import GroupingFrame, family_of
from pipeline.grouping.stacktrace_rules.rule_set import Matching
from pipeline.grouping.strategies.context import GroupingContext, Variants
from pipeline.grouping.strategies.frame import frame_component, is_url
from pipeline.grouping.strategies.message import beside_library_stack
from pipeline.model.event import Event

_SENT = "{} the app because it was sent so, whatever rules say"
_RECURSION = "ignored due to recursion"


def by_stacktrace(event: Event, ctx: GroupingContext) -> Variants:
    """Group by the stack of the event itself, which belongs to no exception and no thread."""
    interface = event.get("stacktrace")
    if not interface:
        return {}
    variants = ctx.stack_variants(interface) or {"app": Component("stacktrace"), "system": Component("stacktrace")}
    return beside_library_stack(variants, interface, event, ctx)


def build_stack(frames: Sequence[GroupingFrame], matching: Matching, platform: str, configuration: Configuration) -> Variants:
    """Return both trees of a stack. Its frames have gone through the rules that set `in_app` and category."""
    components = []
    repeated = set()
    previous: GroupingFrame | None = None
    for index, frame in enumerate(frames):
        component = frame_component(frame, frame.platform or platform, configuration)
        if previous is not None and frame.is_same_as(previous):
            component.update(contributes=False, hint=_RECURSION)
            repeated.add(index)
        components.append(component)
        previous = frame
    dropped = frozenset() if configuration.revive_recursion else frozenset(repeated)
    return {
        "app": _variant(
            [_app_frame(*pair) for pair in zip(frames, components, strict=True)],
            frames,
            matching,
            platform,
            configuration,
            dropped,
        ),
        "system": _variant(components, frames, matching, platform, configuration, dropped),
    }


def _app_frame(frame: GroupingFrame, component: Component) -> Component:
    twin = component.copy()
    if not frame.in_app:
        twin.update(contributes=False, hint="non app frame")
    return twin


def _variant(
    components: list[Component],
    frames: Sequence[GroupingFrame],
    matching: Matching,
    platform: str,
    configuration: Configuration,
    dropped: frozenset[int],
) -> Component:
    """Return the tree of one variant. The frames at `dropped` do not contribute, even if a rule says so."""
    if len(frames) == 1 and components[0].contributes and _is_lone_script_frame(frames[0], platform, configuration):
        components[0].update(contributes=False, hint="ignored single non-URL JavaScript frame")
    assembled = matching.assemble([component.contributes for component in components])
    for frame, component, (contributes, hint) in zip(frames, components, assembled.frames, strict=True):
        if configuration.in_app_of_sender and frame.orig_in_app != -1 and (hint is None or hint.startswith("marked ")):
            hint = _SENT.format("in" if frame.in_app else "out of")  # noqa: PLW2901 -- no rule has marked the frame
        component.update(contributes=contributes, hint=hint)
    tree = Component("stacktrace", list(components), contributes=assembled.contributes, hint=assembled.hint)
    for index in dropped:
        components[index].update(contributes=False, hint=_RECURSION)
    return tree


def _is_lone_script_frame(frame: GroupingFrame, platform: str, configuration: Configuration) -> bool:
    """Whether a stack of only this frame does not contribute: a JavaScript frame without a function.

    Whether its path must be a URL for that, or must not be one, depends on the configuration (`lone_script_frame`).
    """
    if family_of(frame.platform or platform) != "javascript" or frame.function:
        return False
    return is_url(frame.abs_path) == (configuration.lone_script_frame == "drop-url")
