"""The command of `scripts/soak`: runs the parts that are asked for one after the other, and sums them up."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Command = tuple[list[str], dict[str, str]]
"""Arguments for Python, and what is added to the environment."""


@dataclass(frozen=True)
class Part:
    """A heavy run. `size` counts in `unit`, and `command` returns what to run for a size and a first seed."""

    name: str
    what: str
    size: int
    unit: str
    command: Callable[[int, int], Command]


def _chaos(size: int, seed: int) -> Command:
    variables = {"PIPELINE_CHAOS_RUNS": str(size), "PIPELINE_CHAOS_SEED": str(seed + 1)}
    return ["-m", "pytest", "-q", "-p", "no:randomly", "-o", "log_cli=true", "-o", "log_cli_level=INFO", "tests/chaos"], variables


PARTS = (
    Part(
        "histories",
        "simulated histories: workers, Kafka and Redis with every fault",
        20_000,
        "histories",
        lambda size, seed: (["-m", "simulation", "--runs", str(size), "--seed", str(seed)], {}),
    ),
    Part(
        "mutants",
        "each protection taken away: the simulator must notice within so many histories",
        1_500,
        "histories at most for each",
        lambda size, seed: (["-m", "simulation", "--mutants", "--runs", str(size), "--seed", str(seed)], {}),
    ),
    Part("chaos", "schedules of kills, freezes and restarts on a real broker and a real Redis", 10, "schedules", _chaos),
    Part(
        "worker",
        "a worker on a real broker: its memory must stay flat",
        1_000_000,
        "records",
        lambda size, _: (["tests/bench/bench_worker.py", "--soak", str(size)], {}),
    ),
    Part(
        "gateway",
        "requests to a gateway that is killed on the way: each event with a 200 must reach Kafka once",
        100_000,
        "events",
        lambda size, seed: (["-m", "soak.gateway", str(size), str(seed)], {}),
    ),
)


def main() -> int:
    """Run the command. Return 0 if all parts passed, 1 if one failed, 2 for wrong arguments."""
    lines = [f"  {part.name:10} {part.what}\n{'':13}{part.size:,} {part.unit}" for part in PARTS]
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Run the parts that are too heavy for scripts/test. All together take hours.\n"
        "Each can be run alone and smaller.\n\nparts, with their sizes:\n" + "\n".join(lines),
        epilog="examples:\n  scripts/soak                         everything\n"
        "  scripts/soak chaos --size 2          two schedules\n  scripts/soak worker gateway --scale 0.01\n\n"
        "exit codes: 0 all parts passed, 1 a part failed, 2 wrong arguments, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [part.name for part in PARTS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--size", type=int, metavar="N", help="size of the one part that is named")
    parser.add_argument("--scale", type=float, default=1.0, metavar="F", help="part of each size, such as 0.01")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="first seed, where a part has seeds (default: 0)")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.parts if name not in names]:
        parser.error(f"there is no part named {unknown[0]}; there are: {', '.join(names)}")
    if arguments.size is not None and (len(arguments.parts) != 1 or arguments.size < 1):
        parser.error("--size needs one part, and must be at least 1")
    if arguments.scale <= 0:
        parser.error("--scale must be above 0")
    chosen = [part for part in PARTS if not arguments.parts or part.name in arguments.parts]
    sizes = [arguments.size or max(1, round(part.size * arguments.scale)) for part in chosen]
    return _run(chosen, sizes, arguments.seed)


def _run(parts: Sequence[Part], sizes: Sequence[int], seed: int) -> int:
    results: list[tuple[str, str, float]] = []
    for part, size in zip(parts, sizes, strict=True):
        print(f"\n== {part.name}: {size:,} {part.unit}", flush=True)
        command, variables = part.command(size, seed)
        started = time.monotonic()
        try:
            code = subprocess.run([sys.executable, *command], env=os.environ | variables, check=False).returncode
        except KeyboardInterrupt:
            _sum_up([*results, (part.name, "interrupted", time.monotonic() - started)])
            return 130
        results.append((part.name, "passed" if code == 0 else f"failed ({code})", time.monotonic() - started))
    _sum_up(results)
    return 0 if all(result == "passed" for _, result, _ in results) else 1


def _sum_up(results: Sequence[tuple[str, str, float]]) -> None:
    print("\n== summary")
    for name, result, seconds in results:
        print(f"  {name:10} {result:12} {seconds:8,.0f} s")


if __name__ == "__main__":
    sys.exit(main())
