"""What an event costs: each stage, all of them, and a whole replay with Redis, beside parsing, printing and hashing its JSON.

    scripts/bench stages                     all corpora (tests/bench/corpora.py), some two minutes
    scripts/bench stages --corpus zipf       one of them; may be repeated
    scripts/bench stages --json FILE         the figures for machines, beside the table
    scripts/bench stages --check             fail if a ratio is 15 % above tests/bench/baseline.json
    scripts/bench stages --write-baseline    replace the baseline by what was measured

All figures are microseconds of CPU an event, never wall-clock time, of this process unless said otherwise. The floor is the cost
of parsing, printing and hashing the same bodies, measured in the same round. Corpora and measurements alternate, and the minimum
of all rounds is shown, because whatever else the machine does can only make a round dearer. `spread` is the median above the
minimum. `beside` is what a replay costs besides the stages: reading, writing, and the client of Redis. `redis` is the CPU of its
server. The first round fills caches and is not shown. Ratios to the floor hold on other machines, microseconds do not.

Each round has new event ids, and new stacks where the corpus says so. Stages and replay get different events: neither finds
what the other has left in the caches. The worker's own cost needs a broker: `scripts/bench worker`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import xxhash
from bench.corpora import CORPORA, NOW, ROOT, Corpus, write_artifacts

from pipeline.model.item import Item
from pipeline.model.record import Record
from pipeline.quotas.ledger import UncountedLedger
from pipeline.redis.client import connect
from pipeline.redis.embedded import EmbeddedRedis
from pipeline.rules.folder import load_rules
from pipeline.runtimes.garbage import GarbageBetweenBatches
from pipeline.runtimes.recorded.readers import Inputs
from pipeline.runtimes.replay import replay
from pipeline.runtimes.replay_files import ReplayFiles
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings
from pipeline.stages import ERRORS
from pipeline.wiring.contexts import MakeContext, replay_context
from pipeline.wiring.replay import replay_ledger

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 1.15
BATCH = 1_000
RATIOS = ("stages", "replay")
"""What is compared with the baseline, each divided by the floor."""


class World(NamedTuple):
    """What all rounds of a corpus share, as the batches of a long run do: rules and caches."""

    corpus: Corpus
    settings: Settings
    make_context: MakeContext


def main() -> int:
    """Measure and print. Returns 1 if `--check` finds a ratio above the baseline."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", action="append", choices=[corpus.name for corpus in CORPORA])
    parser.add_argument("--events", type=int, default=1_000, help="events a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write-baseline", action="store_true")
    options = parser.parse_args()
    chosen = [corpus for corpus in CORPORA if not options.corpus or corpus.name in options.corpus]
    figures = measure(chosen, options.events, options.rounds)
    print_table(figures)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    if options.write_baseline:
        BASELINE.write_text(json.dumps({name: ratios(costs) for name, costs in figures.items()}, indent=2) + "\n")
    if options.check:
        worse = regressions(json.loads(BASELINE.read_text()), {name: ratios(costs) for name, costs in figures.items()})
        print("\n".join(worse) or "no ratio is 15 % above the baseline")
        return 1 if worse else 0
    return 0


def measure(corpora: Sequence[Corpus], events: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the minimal costs of each corpus by what was measured, in us an event, and `kB`, an event's size."""
    samples: dict[str, dict[str, list[float]]] = {corpus.name: defaultdict(list) for corpus in corpora}
    with tempfile.TemporaryDirectory() as temporary, EmbeddedRedis() as server:
        folder = Path(temporary)
        write_artifacts(folder / "artifacts")
        worlds = [_world(corpus, folder, server.url) for corpus in corpora]
        for round_ in range(rounds + 1):
            for world in worlds:
                bodies, others = world.corpus.make(2 * round_, events), world.corpus.make(2 * round_ + 1, events)
                costs = {"floor": floor(bodies), **stage_costs(world, bodies), **replay_costs(world, others, folder, server.url)}
                if round_:
                    for name, seconds in costs.items():
                        samples[world.corpus.name][name].append(seconds / events * 1e6)
                    samples[world.corpus.name]["kB"].append(sum(map(len, bodies)) / events / 1_000)
    figures = {}
    for corpus_name, found in samples.items():
        figures[corpus_name] = {name: min(values) for name, values in found.items()}
        figures[corpus_name]["beside"] = figures[corpus_name]["replay"] - figures[corpus_name]["stages"]
        figures[corpus_name]["spread"] = statistics.median(found["replay"]) / min(found["replay"]) - 1
    return figures


def _world(corpus: Corpus, folder: Path, redis_url: str) -> World:
    flags: dict[tuple[str, ...], Any] = {("redis", "url"): redis_url}
    if corpus.has_maps:
        flags["artifacts", "url"] = str(folder / "artifacts")
    settings = load_settings(None, flags)
    return World(corpus, settings, replay_context(settings, load_rules(ROOT / "rules"), UncountedLedger(), now=NOW))


def floor(bodies: Sequence[bytes]) -> float:
    """Return the seconds for parsing, printing and hashing every body, without looking at it."""
    started = time.process_time()
    for body in bodies:
        xxhash.xxh3_128_digest(orjson.dumps(orjson.loads(body)))
    return time.process_time() - started


def stage_costs(world: World, bodies: Sequence[bytes]) -> dict[str, float]:
    """Take the bodies through each stage in batches. Return each stage's seconds, and their sum as `stages`."""
    records = list(_records(world, bodies))
    seconds: dict[str, float] = defaultdict(float)
    with GarbageBetweenBatches():
        for start in range(0, len(records), BATCH):
            ctx = world.make_context(())
            last = time.process_time()
            items: Any = [
                part for record in records[start : start + BATCH] for part in ERRORS.decode(record, ctx) if isinstance(part, Item)
            ]
            for name, run in (("decode", None), *((stage.name, stage.run) for stage in ERRORS.stages)):
                items = items if run is None else run(items, ctx).kept
                now = time.process_time()
                seconds[name] += now - last
                last = now
    assert len(items) == len(records[start:]), "every event of a corpus is published"
    return {**seconds, "stages": sum(seconds.values())}


def _records(world: World, bodies: Sequence[bytes]) -> Sequence[Record]:
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(b"\n".join(bodies))
        file.flush()
        return list(Inputs([file.name], now=NOW, max_record_bytes=world.settings.input.max_record_bytes))


def replay_costs(world: World, bodies: Sequence[bytes], folder: Path, redis_url: str) -> dict[str, float]:
    """Replay the bodies from a file to files. Return this process's seconds as `replay`, and those of the Redis server."""
    source = folder / "in.jsonl"
    source.write_bytes(b"\n".join(bodies))
    client = connect(redis_url, 5.0)
    redis_before = _redis_seconds(client)
    with replay_ledger(world.settings) as (ledger, _):
        started = 0.0

        def records() -> Iterator[Record]:
            """Yield the records. The clock starts here: what a replay does once, as collecting garbage, is no event's cost."""
            nonlocal started
            started = time.process_time()
            yield from Inputs([str(source)], now=NOW, max_record_bytes=world.settings.input.max_record_bytes)

        with ReplayFiles(folder / "out") as outputs:
            tally = replay(
                records(),
                lambda polled: replace(world.make_context(polled), ledger=ledger),
                outputs,
                max_records=BATCH,
                max_bytes=10**9,
                on_batch=lambda _: None,
            )
        own = time.process_time() - started
        redis_after = _redis_seconds(client)
    assert tally.events == len(bodies), "every event of a corpus is published"
    return {"replay": own, "redis": redis_after - redis_before}


def _redis_seconds(client: Any) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def ratios(costs: dict[str, float]) -> dict[str, float]:
    """Return what is compared with the baseline: costs as multiples of the floor."""
    return {name: round(costs[name] / costs["floor"], 2) for name in RATIOS}


def regressions(baseline: dict[str, dict[str, float]], found: dict[str, dict[str, float]]) -> list[str]:
    """Return a line for each ratio that is more than 15 % above the baseline's."""
    return [
        f"{corpus}: {name} is {ratio:.1f} times the floor, {ratio / baseline[corpus][name] - 1:.0%} above the baseline"
        for corpus, measured in found.items()
        for name, ratio in measured.items()
        if ratio > TOLERANCE * baseline[corpus][name]
    ]


def print_table(figures: dict[str, dict[str, float]]) -> None:
    """Print a column for each corpus."""
    names = ["floor", "decode", *(stage.name for stage in ERRORS.stages), "stages", "replay", "beside", "redis"]
    print(f"us of CPU an event, minima; Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    print(f"{'':14}" + "".join(f"{name:>16}" for name in figures))
    for name in names:
        print(f"{name:14}" + "".join(f"{costs[name]:16.1f}" for costs in figures.values()))
    for name in RATIOS:
        print(f"{name + ' / floor':14}" + "".join(f"{costs[name] / costs['floor']:16.1f}" for costs in figures.values()))
    print(f"{'kB an event':14}" + "".join(f"{costs['kB']:16.1f}" for costs in figures.values()))
    print(f"{'spread':14}" + "".join(f"{costs['spread']:16.0%}" for costs in figures.values()))


if __name__ == "__main__":
    sys.exit(main())
