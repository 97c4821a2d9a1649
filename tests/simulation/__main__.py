"""The command of `scripts/simulate`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from simulation.mutants import MUTANTS, Mutant, applied, find
from simulation.play import Failure, kind_of, play_seeds, shrink
from simulation.stores import ModelStore, ServerStore, Store

from pipeline.redis.embedded import EmbeddedRedis

PIECE = 200
SHOWN = 6


def main() -> int:
    """Run the command. Return 0 if every promise was kept, 1 if one was broken, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Play seeded histories of workers on a model of Kafka and Redis: kills, freezes, outages, losses, "
        "rebalances. Whatever happens, each record must end in one place and be counted once. The same seed always gives the "
        "same history.",
        epilog="exit codes: 0 all promises were kept, 1 a promise was broken (a small history is printed) or a mutant missed",
    )
    parser.add_argument("--runs", type=int, default=500, metavar="N", help="how many histories (default: 500)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the first one (default: 0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="default: one for each processor")
    parser.add_argument(
        "--server", action="store_true", help="on a real Redis server instead of the model: slower by some ten times"
    )
    parser.add_argument(
        "--mutants", action="store_true", help="take away one protection after the other; each must be found missing"
    )
    parser.add_argument("--mutant", metavar="NAME", help="only the one of this name, and print the history that finds it")
    arguments = parser.parse_args()
    if arguments.runs < 1 or arguments.processes < 1:
        parser.error("--runs and --processes must be at least 1")
    if arguments.mutant:
        return _show_mutant(arguments.mutant, arguments.runs, arguments.seed)
    if arguments.mutants:
        return _run_mutants(arguments.runs, arguments.seed, arguments.processes)
    return _run(arguments.runs, arguments.seed, arguments.processes, on_server=arguments.server)


def _run(runs: int, seed: int, processes: int, *, on_server: bool) -> int:
    started = time.monotonic()
    failures: list[Failure] = []
    played = 0
    pieces = [range(at, min(at + PIECE, seed + runs)) for at in range(seed, seed + runs, PIECE)]
    with ProcessPoolExecutor(min(processes, len(pieces))) as pool:
        for future in as_completed([pool.submit(_piece, piece, on_server=on_server) for piece in pieces]):
            count, found = future.result()
            played += count
            failures += found
            print(f"\r{played} of {runs} histories, {len(failures)} broke a promise", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{played} histories from seed {seed} on, in {time.monotonic() - started:.0f} s")
    kinds: dict[str, Failure] = {}
    counts = Counter(kind_of(failure.promise) for failure in failures)
    for failure in sorted(failures, key=lambda failure: len(failure.plan.inputs) + len(failure.plan.faults)):
        kinds.setdefault(kind_of(failure.promise), failure)
    for kind, failure in list(kinds.items())[:SHOWN]:
        print(f"\n{counts[kind]} times, for instance:\n{shrink(failure, ModelStore())}")
    print("every promise was kept" if not failures else f"{len(failures)} histories broke a promise, in {len(kinds)} ways")
    return 1 if failures else 0


def _piece(seeds: range, *, on_server: bool) -> tuple[int, list[Failure]]:
    if not on_server:
        return _play(seeds, ModelStore())
    with EmbeddedRedis() as server:
        return _play(seeds, ServerStore(server.url))


def _play(seeds: range, store: Store) -> tuple[int, list[Failure]]:
    return len(seeds), [failure for failure in play_seeds(seeds, store) if failure is not None]


def _run_mutants(runs: int, seed: int, processes: int) -> int:
    missed = []
    with ProcessPoolExecutor(processes) as pool:
        futures = {mutant.name: pool.submit(_find, at, runs, seed) for at, mutant in enumerate(MUTANTS)}
        for mutant in MUTANTS:
            played, promise = futures[mutant.name].result()
            found = f"caught after {played} histories: {promise}" if promise else f"NOT CAUGHT in {played} histories"
            print(f"{mutant.name:32} ({mutant.what}) -> {found}", flush=True)
            missed += [] if promise else [mutant.name]
    print(f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} were caught")
    return 1 if missed else 0


def _find(at: int, runs: int, seed: int) -> tuple[int, str]:
    played, failure = find(MUTANTS[at], runs, seed)
    return played, failure.promise if failure is not None else ""


def _show_mutant(name: str, runs: int, seed: int) -> int:
    chosen: list[Mutant] = [mutant for mutant in MUTANTS if mutant.name == name]
    if not chosen:
        print(f"there is no mutant named {name!r}; there are: {', '.join(mutant.name for mutant in MUTANTS)}", file=sys.stderr)
        return 2
    played, failure = find(chosen[0], runs, seed)
    if failure is None:
        print(f"not caught in {played} histories")
        return 1
    with applied(chosen[0]):
        print(f"caught after {played} histories\n{shrink(failure, ModelStore())}")
    return 0


sys.exit(main())
