"""What normalize, filter, scrub and enrich cost for each recorded event, beside parsing and printing its JSON.

Run with `scripts/bench stages`. CPU time of this process, the median of repeated runs over the whole corpus; the ratios hold on
other machines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from pipeline.filters.filters import Filters
from pipeline.model.envelope import parse_envelope
from pipeline.scrubbing.scrubber import Scrubber
from pipeline.stages.enrich import add_client_contexts
from pipeline.stages.normalize import normalize_event

RECORDED = Path(__file__).parents[1] / "fixtures" / "recorded"
ROUNDS = 15

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
SCRUBBER = Scrubber.load([])


def recorded_events() -> list[bytes]:
    """Give the events of the recorded envelopes, as JSON."""
    found = []
    for path in sorted(RECORDED.rglob("*.envelope")):
        found += [item.payload for item in parse_envelope(path.read_bytes()).items if item.type == "event"]
    return found


def normalized(event: dict[str, Any]) -> dict[str, Any]:
    """Normalize as the stage does."""
    return normalize_event(event, received=1_772_366_400.0, project_id=1, event_id="0" * 32)


def cost_us(run: Callable[[Any], Any], make: Callable[[bytes], Any], bodies: Sequence[bytes]) -> float:
    """Give the mean cost of one event in microseconds of CPU; what `make` does is not counted."""
    rounds = []
    for _ in range(ROUNDS):
        inputs = [make(body) for body in bodies]
        started = time.process_time()
        for value in inputs:
            run(value)
        rounds.append((time.process_time() - started) / len(bodies) * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print a line for each stage."""
    bodies = recorded_events()
    print(f"{len(bodies)} recorded events, {sum(map(len, bodies)) / len(bodies) / 1000:.1f} kB each")
    floor = cost_us(lambda body: orjson.dumps(orjson.loads(body)), lambda body: body, bodies)
    stages: list[tuple[str, Callable[[Any], Any], Callable[[bytes], Any]]] = [
        ("normalize", normalized, orjson.loads),
        ("filter", lambda event: FILTERS.first_match(event, "198.51.100.7"), lambda body: normalized(orjson.loads(body))),
        ("scrub", SCRUBBER.scrub, lambda body: normalized(orjson.loads(body))),
        ("enrich", add_client_contexts, lambda body: normalized(orjson.loads(body))),
    ]
    print(f"{'parse + print':14} {floor:7.1f} us")
    total = 0.0
    for name, run, make in stages:
        cost = cost_us(run, make, bodies)
        total += cost
        print(f"{name:14} {cost:7.1f} us  {cost / floor:5.1f} x")
    print(f"{'together':14} {total:7.1f} us  {total / floor:5.1f} x")


if __name__ == "__main__":
    main()
