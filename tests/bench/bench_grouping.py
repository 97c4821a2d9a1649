"""The cost of grouping: a stack seen before, a stack never seen, a thousand project rules more, and many distinct stacks.

Run with `scripts/bench grouping`. CPU time of this process, the median of repeated runs; the ratios hold on other machines.
"""

from __future__ import annotations

import argparse
import copy
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.grouping.caches import GroupingCaches
from pipeline.grouping.grouper import Grouper
from pipeline.model.rule_file import RuleFile

BASES = Path(__file__).parents[2] / "rules" / "bases"
MEMORY_BYTES = 32_000_000
ROUNDS = 200
PROJECT_RULES = 1_000

LIMITS_US = {"seen before": 100, "never seen": 1_500, "names": 3_000, "path globs": 4_000}
"""The budget, in microseconds of CPU."""


def python_event(number: int) -> Any:
    """Return an event of 25 Python frames. Events of different numbers share no frame."""
    frames = [
        {
            "function": f"handle_{number}_{depth}",
            "module": f"shop{number}.orders.service{depth}" if depth % 3 else f"django{number}.core.handlers.base{depth}",
            "filename": f"shop{number}/orders/service{depth}.py",
            "abs_path": f"/usr/lib/python3.11/site-packages/shop{number}/orders/service{depth}.py"
            if depth % 2
            else f"/srv/shop{number}/orders/service{depth}.py",
            "context_line": f"    return self.repository.load(order_{number}, depth={depth})",
            "pre_context": ["    try:", "        pass"],
            "lineno": 10 + depth,
            "in_app": depth % 2 == 0,
        }
        for depth in range(25)
    ]
    exception = {
        "type": "ValueError",
        "value": f"order {number} is not known",
        "stacktrace": {"frames": frames},
        "mechanism": {"type": "django", "handled": False},
    }
    return {
        "event_id": f"{number:032x}",
        "platform": "python",
        "type": "error",
        "level": "error",
        "sdk": {"name": "sentry.python.django"},
        "exception": {"values": [exception]},
    }


def javascript_event(number: int) -> Any:
    """Return an event of 12 browser frames. Events of different numbers share no frame."""
    frames = [
        {
            "function": f"Cart.render_{number}_{depth}",
            "module": f"app{number}/components/cart{depth}",
            "filename": f"/static/js/app{number}/cart{depth}.js",
            "abs_path": f"https://shop.example/static/js/app{number}/cart{depth}.js",
            "context_line": f"      return this.total{number} + items[{depth}].price;",
            "lineno": 10 + depth,
            "colno": 7,
            "in_app": True,
            "data": {"sourcemap": "https://shop.example/app.js.map"},
        }
        for depth in range(12)
    ]
    exception = {
        "type": "TypeError",
        "value": f"Cannot read property 'price' of undefined ({number})",
        "stacktrace": {"frames": frames},
        "mechanism": {"type": "onerror"},
    }
    return {
        "event_id": f"{number:032x}",
        "platform": "javascript",
        "type": "error",
        "level": "error",
        "sdk": {"name": "sentry.javascript.react"},
        "exception": {"values": [exception]},
        "tags": [["transaction", "/cart"]],
    }


PROJECT_RULE_TEXTS: dict[str, Callable[[int], str]] = {
    "names": lambda n: (
        f"function:legacy_{n}_* -app",
        f"module:vendor.package{n}.* function:call -group",
        f"error.type:Vendor{n}Error function:raise_* -group",
    )[n % 3],
    "path globs": lambda n: (f"path:**/vendor/library{n}/** -app", f"path:**/generated{n}/*.py -group")[n % 2],
}


def make_grouper(rules: str = "") -> Grouper:
    """Return a grouper with the shipped bases and project rules."""
    bases = {file.name: RuleFile(file.name, file.read_text()) for file in BASES.glob("*.rules")}
    return Grouper.load(
        [{"enhancements.rules": RuleFile("enhancements.rules", rules)}], bases, GroupingCaches(max_stack_bytes=MEMORY_BYTES)
    )


def cost_us(grouper: Grouper, events: Iterator[Any]) -> float:
    """Return the median CPU time of grouping one event, in microseconds."""
    times = []
    for event in events:
        started = time.process_time_ns()
        grouper.group(event)
        times.append((time.process_time_ns() - started) / 1_000)
    return statistics.median(times)


def seen(event: Any) -> Iterator[dict[str, Any]]:
    """Yield copies of one event, as if each was freshly parsed."""
    for _ in range(ROUNDS):
        yield copy.deepcopy(event)


def unseen(make: Callable[[int], dict[str, Any]], start: int = 1_000) -> Iterator[dict[str, Any]]:
    """Return events that share no frame."""
    return (make(number) for number in range(start, start + ROUNDS))


def bench_speed() -> None:
    """Print the cost of an event for known and unknown stacks, and with many rules."""
    print(f"{'event':32} {'case':14} {'CPU us':>8} {'limit':>7}")
    plain = make_grouper()
    loaded = {name: make_grouper("\n".join(map(text, range(PROJECT_RULES)))) for name, text in PROJECT_RULE_TEXTS.items()}
    for name, make in (("Python, 25 frames", python_event), ("JavaScript, 12 frames", javascript_event)):
        plain.group(make(1))
        _print(name, "seen before", cost_us(plain, seen(make(1))))
        _print(name, "never seen", cost_us(plain, unseen(make)))
        for rules, grouper in loaded.items():
            _print(f"{name}, 1,000 rules", rules, cost_us(grouper, unseen(make)))


def bench_memory(stacks: int) -> None:
    """Print the memory that distinct stacks use."""
    caches = GroupingCaches(max_stack_bytes=MEMORY_BYTES)
    bases = {file.name: RuleFile(file.name, file.read_text()) for file in BASES.glob("*.rules")}
    grouper = Grouper.load([], bases, caches)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    for number in range(stacks):
        grouper.group(javascript_event(number))
    spent = time.process_time() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1_024
    kept = f"{len(caches.stacks):,} kept in {caches.stacks.held_bytes / 1e6:.1f} MB"
    print(f"{stacks:,} distinct stacks: {kept}, process grew by {grown:.1f} MB, {spent / stacks * 1e6:.0f} us each")


def _print(name: str, case: str, cost: float) -> None:
    limit = LIMITS_US[case]
    print(f"{name:32} {case:14} {cost:8.1f} {limit:7}{'' if cost <= limit else '  OVER'}")


def main(arguments: list[str]) -> None:
    """Run the benchmark; `--stacks N` is the number of distinct stacks in the measurement of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, default=20_000)
    options = parser.parse_args(arguments)
    bench_speed()
    bench_memory(options.stacks)


if __name__ == "__main__":
    main(sys.argv[1:])
