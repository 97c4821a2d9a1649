"""What every stage costs for each recorded event, cold and warm, beside parsing and printing its JSON.

Run with `scripts/bench stages`. CPU time of this process over the whole corpus, under the shipped rules, with source maps and
without Redis (its ledger: `scripts/bench quotas`). Cold is the first round: rules are loaded, but nothing is remembered yet.
Warm is the median of the rounds after it. The ratios hold on other machines.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from pipeline.filters.filters import Filters
from pipeline.model.item import Item
from pipeline.model.record import Record
from pipeline.quotas.ledger import UncountedLedger
from pipeline.rules.folder import load_rules
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.settings.loading import load_settings
from pipeline.stages import ERRORS
from pipeline.stages.contract import Context
from pipeline.wiring.contexts import replay_context

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
ROUNDS = 15
NOW = 1_795_348_800.0

FILTERS = Filters.from_relay(
    {
        "releases": {"releases": ["0.0.*", "*-nightly"]},
        "errorMessages": {"patterns": ["*ResizeObserver*", "ChunkLoadError: *", "*network [a-z]* lost*"]},
        "clientIps": {"blacklistedIps": ["192.0.2.0/24"]},
        "localhost": {"isEnabled": True},
        "browserExtensions": {"isEnabled": True},
        "legacyBrowsers": {"isEnabled": True, "options": ["default"]},
        "webCrawlers": {"isEnabled": True},
    }
)


class Stopwatch:
    """Measures the CPU time of this process, in seconds."""

    def __init__(self) -> None:
        self._started = time.process_time()

    def lap(self) -> float:
        """Return what passed since the last lap."""
        before, self._started = self._started, time.process_time()
        return self._started - before


def one_round(records: Sequence[Record], ctx: Context) -> dict[str, float]:
    """Take the corpus through every stage once; gives each stage's seconds."""
    seconds: dict[str, float] = {}
    watch = Stopwatch()
    items: Any = [part for record in records for part in ERRORS.decode(record, ctx) if isinstance(part, Item)]
    seconds["decode"] = watch.lap()
    for stage in ERRORS.stages:
        items = stage.run(items, ctx).kept
        seconds[stage.name] = watch.lap()
    return seconds


def all_filters(records: Sequence[Record], ctx: Context) -> float:
    """Return the seconds for asking every filter of every event; the shipped rules turn none on."""
    items: Any = [part for record in records for part in ERRORS.decode(record, ctx) if isinstance(part, Item)]
    items = ERRORS.stages[0].run(items, ctx).kept  # normalized
    watch = Stopwatch()
    for item in items:
        FILTERS.first_match(item.event, "198.51.100.7")
    return watch.lap()


def floor(bodies: Sequence[bytes]) -> float:
    """Return the seconds for parsing and printing every event, without looking at it."""
    watch = Stopwatch()
    for body in bodies:
        orjson.dumps(orjson.loads(body))
    return watch.lap()


def main() -> None:
    """Print a line for each stage."""
    settings = load_settings(None, {("artifacts", "url"): str(FIXTURES / "artifacts")})
    ctx = replay_context(settings, load_rules(ROOT / "rules"), UncountedLedger(), now=NOW)(())
    records = list(Inputs([str(FIXTURES / "recorded")], now=NOW))
    bodies = [orjson.dumps(part.event) for record in records for part in ERRORS.decode(record, ctx) if isinstance(part, Item)]
    events = len(bodies)
    print(f"{events} recorded events, {sum(map(len, bodies)) / events / 1000:.1f} kB each; µs of CPU an event")
    gc.disable()  # as between the batches of a run
    cold = one_round(records, ctx)
    rounds = [one_round(records, ctx) for _ in range(ROUNDS)]
    least = statistics.median(floor(bodies) for _ in range(ROUNDS)) / events * 1e6
    warm = {name: statistics.median(seconds[name] for seconds in rounds) for name in cold}

    filters = statistics.median(all_filters(records, ctx) for _ in range(ROUNDS)) / events * 1e6

    print(f"{'':15}{'cold':>9}{'warm':>9}{'warm / floor':>14}")
    print(f"{'parse + print':15}{'':9}{least:9.1f}{1:14.1f}   the floor")
    for name, seconds in {**cold, "together": sum(cold.values())}.items():
        warm_us = warm.get(name, sum(warm.values())) / events * 1e6
        print(f"{name:15}{seconds / events * 1e6:9.1f}{warm_us:9.1f}{warm_us / least:14.1f}")
    print(f"{'with all filters on':24}{filters:9.1f}{filters / least:14.1f}   more")


if __name__ == "__main__":
    main()
